#!/usr/bin/env python3
"""Chooses the passages of each training query and gives them the teacher's scores.

    pairs.py --work DIR --out FILE [--teacher mpnet] [--docs 8] [--seed 5]

Reads docs.jsonl, queries.jsonl, contrast.jsonl and the token stores of encode.py.
Per query: the 100 best of BM25 and MiniLM (reciprocal ranks, k = 60) within its own
collection; kept are the source passage, negatives from all depths and a random one.

Teacher: per query standardised cosine + idf-weighted token max-sim + 0.5 BM25, mapped by a logistic
fit (with the unstandardised scores, so that queries share a scale) to a logit whose sigmoid is about P(relevant).
"""

import argparse, json, math, os, random
import bm25s, numpy as np, Stemmer

# the fit knows one relevant passage a query: softened, and raised for those it does not know
SOFT, SHIFT = 0.6, 0.9


class Store:
    def __init__(self, work, m):
        p = os.path.join(work, m)
        self.tok = np.load(p + "_tok.npy", mmap_mode="r")
        self.nrm = np.load(p + "_nrm.npy", mmap_mode="r")
        self.ids = np.load(p + "_ids.npy")
        z = np.load(p + "_idx.npz")
        self.off, self.tl = z["off"], z["tl"]
        n = len(self.tl)
        df = np.zeros(40000)
        for i in range(n):
            df[np.unique(self.ids[self.off[i] : self.off[i + 1]])] += 1
        self.w = np.log(1 + n / (1 + df))
        q = np.load(p + "_q.npz")
        self.qv, self.qi, self.qh, self.qo = q["v"], q["ids"], q["h"], q["off"]
        # two passage vectors: with the title and without it
        self.v = np.zeros((2, n, self.tok.shape[1]), np.float32)
        for i in range(n):
            h = (
                self.tok[self.off[i] : self.off[i + 1]].astype(np.float32)
                * self.nrm[self.off[i] : self.off[i + 1], None]
            )
            for k, x in enumerate((h, h[1 + self.tl[i] : -1])):
                s = x.sum(0)
                self.v[k, i] = s / (np.linalg.norm(s) + 1e-9)

    def scores(self, qk, cand, drop):
        """Cosine and idf-weighted max-sim of one query with candidate passages."""
        h = self.qh[self.qo[qk] : self.qo[qk + 1]].astype(np.float32)[1:-1]
        w = self.w[self.qi[self.qo[qk] : self.qo[qk + 1]]][1:-1]
        h /= np.linalg.norm(h, axis=1, keepdims=True)
        w = w / w.sum()
        spans = [
            (self.off[i] + (1 + self.tl[i] if drop else 0), self.off[i + 1] - (1 if drop else 0))
            for i in cand
        ]
        t = np.concatenate([self.tok[a:b] for a, b in spans]).astype(np.float32)
        t /= np.linalg.norm(t, axis=1, keepdims=True) + 1e-9
        m = np.maximum.reduceat(h @ t.T, np.cumsum([0] + [b - a for a, b in spans[:-1]]), axis=1)
        return self.v[int(drop)][cand] @ self.qv[qk], w @ m


def z(x):
    return (x - x.mean()) / (x.std() + 1e-9)


def group(qid, kind, query, docs):
    """A line that `elodex zelo train --targets` reads: each document's target is sigmoid(teacher)."""
    documents = [dict(text=d["text"], target=round(1 / (1 + math.exp(-d["teacher"])), 5)) for d in docs]
    return json.dumps(dict(qid=qid, kind=kind, query=query, documents=documents), ensure_ascii=False) + "\n"


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--work", required=True)
    a.add_argument("--out", required=True)
    a.add_argument("--teacher", default="mpnet")
    a.add_argument("--docs", type=int, default=8)
    a.add_argument("--pool", type=int, default=14, help="further candidates that standardisation looks at")
    a.add_argument("--seed", type=int, default=5)
    a = a.parse_args()
    r = random.Random(a.seed)
    D = [json.loads(l) for l in open(os.path.join(a.work, "docs.jsonl"))]
    Q = [json.loads(l) for l in open(os.path.join(a.work, "queries.jsonl"))]
    pos = {d["id"]: i for i, d in enumerate(D)}
    mini = Store(a.work, "minilm")
    tea = mini if a.teacher == "minilm" else Store(a.work, a.teacher)
    st = Stemmer.Stemmer("english")
    tok = lambda x: bm25s.tokenize(x, stopwords="en", stemmer=st, show_progress=False, return_ids=False)
    X, Y, rows = [], [], []
    for name in ("docs", "health"):
        mem = np.array([i for i, d in enumerate(D) if d["set"] == name])
        R = [None, None]
        for k in (0, 1):
            R[k] = bm25s.BM25(k1=0.9, b=0.4, method="lucene")
            R[k].index(
                tok([(D[i]["title"] + " " if k == 0 else "") + D[i]["text"] for i in mem]),
                show_progress=False,
            )
        for qk, q in enumerate(Q):
            if q["set"] != name:
                continue
            drop = bool(q["drop_title"])
            t = tok([q["query"]])[0]
            bm = R[int(drop)].get_scores(t) if len(t) else np.zeros(len(mem))
            dn = mini.v[int(drop)][mem] @ mini.qv[qk]
            sc = np.zeros(len(mem))
            for s in (bm, dn):
                o = np.argsort(-s, kind="stable")[:300]
                sc[o] += 1 / (61 + np.arange(len(o)))
            top = list(np.argsort(-sc, kind="stable")[:100])
            src = int(np.where(mem == pos[q["source"]])[0][0])
            srank = top.index(src) if src in top else 100
            if src not in top:
                top.append(src)
            rest = [k for k in range(len(top)) if top[k] != src]
            pick = []
            for lo, hi, n in ((0, 5, 3), (5, 15, 2), (15, 50, a.docs - 6)):
                pool = rest[lo:hi]
                pick += r.sample(pool, min(n, len(pool)))
            sel = [top.index(src)] + pick
            others = [k for k in rest if k not in pick]
            se = sel + r.sample(others, min(a.pool, len(others)))
            cos, idf = tea.scores(qk, mem[[top[k] for k in se]], drop)
            b = bm[[top[k] for k in se]]
            ens = z(cos) + z(idf) + 0.5 * z(b)
            f = np.stack([ens, cos * 10, idf * 10], 1)
            X.append(f[: len(sel)])
            Y.append([1] + [0] * len(pick))
            far = set(top)
            rd = next((k for k in (r.randrange(len(mem)) for _ in range(50)) if k not in far), top[-1])
            rows.append((q, [mem[top[k]] for k in sel] + [mem[rd]], drop, srank, len(X) - 1))
    x = np.concatenate(X)
    y = np.concatenate([np.array(v) for v in Y])
    mu, sd = x.mean(0), x.std(0)
    xs = (x - mu) / sd
    # logistic fit, by Newton steps: the ensemble, and the two unstandardised scores as one
    u = np.stack([xs[:, 0], xs[:, 1] + xs[:, 2], np.ones(len(xs))], 1)
    w = np.zeros(3)
    for _ in range(25):
        p = 1 / (1 + np.exp(-u @ w))
        g = u.T @ (y - p)
        H = (u * (p * (1 - p))[:, None]).T @ u + 1e-6 * np.eye(3)
        w += np.linalg.solve(H, g)
    print("logistic", w, "base", y.mean())
    lg = lambda f: (
        np.stack(
            [
                (f[:, 0] - mu[0]) / sd[0],
                (f[:, 1] - mu[1]) / sd[1] + (f[:, 2] - mu[2]) / sd[2],
                np.ones(len(f)),
            ],
            1,
        )
        @ w
    )
    n = 0
    kept = 0
    allp = []
    with open(a.out, "w") as fh:
        for q, ds, drop, srank, k in rows:
            s = np.clip(SOFT * lg(X[k]) + SHIFT, -4.5, 3.5)
            s = list(s) + [-5.0]
            removed = q["source_text"] != D[ds[0]]["text"]
            # a source that neither retriever nor teacher comes near is no usable label
            if srank > 60 and s[0] < -1:
                continue
            s[0] = 2.0 if removed else float(min(4.0, max(s[0] + 1.5, 1.5)))
            out = []
            for j, i in enumerate(ds):
                t = q["source_text"] if j == 0 else D[i]["text"]
                if not drop and D[i]["title"]:
                    t = D[i]["title"] + " " + t
                out.append(
                    dict(
                        id=D[i]["id"],
                        text=t,
                        teacher=round(float(s[j]), 3),
                        label=1 if j == 0 else 0 if j == len(ds) - 1 else None,
                    )
                )
            allp += s[1:-1]
            kept += 1
            n += len(out)
            fh.write(group(q["qid"], q["set"] + "-" + q["kind"], q["query"], out))
        print(
            "mined",
            kept,
            n,
            "quantiles of negatives",
            np.quantile(allp, [0.05, 0.25, 0.5, 0.75, 0.95]).round(2),
        )
        for l in open(os.path.join(a.work, "contrast.jsonl")):
            c = json.loads(l)
            n += len(c["docs"])
            kept += 1
            fh.write(group(c["qid"], c["kind"], c["query"], c["docs"]))
    L = open(a.out).read().splitlines()
    r.shuffle(L)
    open(a.out, "w").write("\n".join(L) + "\n")
    print("queries", kept, "pairs", n)


if __name__ == "__main__":
    main()
