"""What is printed: a table for every workload, and at the end every bar with what was measured."""

import re

import workloads

# Title and format of how results agree with ours in f32.
AGREEMENT = {
    "mean_cosine": ("mean cos", ".4f"),
    "lowest_cosine": ("lowest", ".4f"),
    "correlation": ("corr", ".4f"),
    "largest_difference": ("max diff", ".1e"),
}
COMPARED_WITH = {"f32": ["f32"], "int8": ["int8"], "as its users run it": ["f32", "int8"]}
# (k, n) of all-MiniLM-L6-v2's linear layers, and the rows from which a batch is large.
MODEL_SHAPES = [(384, 1152), (384, 384), (384, 1536), (1536, 384)]
LARGE_BATCH = 128
SHAPE = re.compile(r"(int8|f32) m +(\d+) +k +(\d+) +n +(\d+) .* ([\d.]+) % of peak")


def section(engine):
    """Which engines stand together, and with which of ours they are compared."""
    if engine.endswith("usual"):
        return "as its users run it"
    return "f32" if engine.endswith("f32") else "int8"


def print_workload(result):
    engines = result["engines"]
    agreement = list(engines["elodex f32"]["agreement"])
    print(f"\n{result['workload']}: {result['inputs']} inputs, {result['tokens']} tokens")
    print(
        f"  {'':<34}{'tokens/s':>9}{'p50 ms':>10}{'to f32':>9}{'to int8':>9}"
        + "".join(f"{AGREEMENT[name][0]:>10}" for name in agreement)
        + "  configuration"
    )
    for title, compared in COMPARED_WITH.items():
        rows = {engine: figures for engine, figures in engines.items() if section(engine) == title}
        if rows:
            print(f"  {title}")
        for engine, figures in rows.items():
            ratios = ""
            for precision in ("f32", "int8"):
                shown = precision in compared and not engine.startswith("elodex")
                ratios += f"{figures['ratio'][precision]:>8.2f}x" if shown else f"{'':>9}"
            name = engine.removesuffix(", usual")
            print(
                f"    {name:<32}{figures['tokens_per_second']:>9.0f}{figures['p50_ms']:>10.2f}"
                + ratios
                + "".join(f"{figures['agreement'][name]:>10{AGREEMENT[name][1]}}" for name in agreement)
                + f"  {figures['configuration']}"
            )


def print_gemm(lines):
    """The peaks, each of the model's shapes, and the stages of its layers beside their ceilings."""
    print("gemm_peak")
    for line in lines:
        shape = SHAPE.match(line)
        if not shape or (int(shape[3]), int(shape[4])) in MODEL_SHAPES:
            print(f"  {line}")


def least_share_of_peak(lines, precision):
    """The lowest percentage of the peak among the model's shapes in large batches, and which shape that is."""
    shares = []
    for shape in filter(None, map(SHAPE.match, lines)):
        m, k, n = (int(shape[at]) for at in (2, 3, 4))
        if shape[1] == precision and (k, n) in MODEL_SHAPES and m >= LARGE_BATCH:
            shares.append((float(shape[5]), f"m {m}, k {k}, n {n}"))
    if not shares:
        raise RuntimeError(f"gemm_peak printed no {precision} shapes of the model")
    return min(shares)


def print_two_at_once(figures):
    print("\ntwo small requests at once: 16-token queries from two clients, and one after the other")
    print(f"  {'':<14}{'p50 alone':>12}{'p50 of two':>12}{'throughput':>12}")
    for engine, row in figures.items():
        print(
            f"  {engine:<14}{row['alone_p50_ms']:>9.2f} ms{row['two_p50_ms']:>9.2f} ms{row['throughput_ratio']:>11.2f}x"
        )


def print_server(figures):
    memory = figures["resident_mib"]
    overhead = figures["overhead"]
    print(f"\nserver: ready after {figures['seconds_to_ready']:.2f} s")
    print(f"  resident MiB: {memory['at_rest']['now']} at rest, {memory['after_load']['peak']} at its peak")
    print(
        f"  one 16-token query: {overhead['http_p50_ms']:.2f} ms over HTTP, {overhead['in_process_p50_ms']:.2f} ms in "
        f"process, {overhead['added_ms']:.2f} ms added"
    )
    print(f"  one {figures['request_tokens']}-token text per request, cache off:")
    print(f"  {'clients':>8}{'req/s':>9}{'tokens/s':>10}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}")
    for row in figures["loads"]:
        print(
            f"  {row['clients']:>8}{row['requests_per_second']:>9.0f}{row['tokens_per_second']:>10.0f}"
            f"{row['p50_ms']:>9.2f}{row['p95_ms']:>9.2f}{row['p99_ms']:>9.2f}"
        )


def bars(report):
    """What is measured, the figure, the bar and whether it is met; None where the bar is for other threads."""
    results = {result["workload"].split(" (")[0]: result for result in report["offline"]}
    threads = report["machine"]["threads"]

    def ratio(workload, peer, ours, at_least):
        engines = results[workload]["engines"]
        figure = engines[peer]["ratio"][ours]
        what = f"{ours} against {peer.replace(', usual', ' as its users run it')}, {workload}"
        if "mean_cosine" in engines[peer]["agreement"] and ours == "int8":
            cosines = [engines[engine]["agreement"]["mean_cosine"] for engine in (f"elodex {ours}", peer)]
            what += f" (mean cosine {cosines[0]:.4f} against {cosines[1]:.4f})"
        return bar(what, f"{figure:.2f}x", f">= {at_least}x", figure >= at_least)

    def time(workload, milliseconds, only_threads=None):
        figure = results[workload]["engines"]["elodex int8"]["p50_ms"]
        met = figure < milliseconds if only_threads in (None, threads) else None
        of = f", {only_threads} threads" if only_threads else ""
        return bar(f"int8, {workload}{of}", f"{figure:.2f} ms", f"< {milliseconds} ms", met)

    yield ratio(workloads.SHORT, "onnxruntime int8", "int8", 1.6)
    yield ratio(workloads.LONG, "onnxruntime int8", "int8", 2.0)
    yield ratio(workloads.NATURAL, "sentence-transformers f32, usual", "int8", 4.0)
    yield ratio(workloads.SHORT, "onnxruntime f32", "f32", 1.15)
    yield ratio(workloads.LONG, "onnxruntime f32", "f32", 1.15)
    yield time(workloads.QUERY, 1.0)
    yield time(workloads.RERANK, 600, only_threads=2)
    for precision, least in (("int8", 70), ("f32", 85)):
        share, shape = least_share_of_peak(report["gemm"], precision)
        what = f"{precision} GEMM of the measured peak, the model's slowest shape from {LARGE_BATCH} rows ({shape})"
        yield bar(what, f"{share:.1f} %", f">= {least} %", share >= least)
    for engine, row in report["two_at_once"].items():
        met = row["throughput_ratio"] >= 1.1 if threads > 1 else None
        yield bar(f"{engine}, two small requests at once", f"{row['throughput_ratio']:.2f}x", ">= 1.1x", met)


def bar(what, measured, wanted, met):
    return {"what": what, "measured": measured, "bar": wanted, "met": met}


def print_bars(rows):
    print("\nbars")
    for row in rows:
        met = {True: "met", False: "NOT MET", None: "for other threads"}[row["met"]]
        print(f"  {row['measured']:>10}  {row['bar']:<10}{met:<19}  {row['what']}")
