#!/usr/bin/env python3
"""Makes contrast sets: a query whose operator (not, without, except, before, after, a number, a direction)
decides which of two nearly equal passages answers it.

    contrast.py --work DIR [--n 3600] [--seed 3]

DIR holds docs.jsonl and queries.jsonl of queries.py (real passages for the perturbed kinds).
Out: contrast.jsonl and contrast_dev.jsonl, {qid, kind, family, query, docs: [{id, text, teacher, label, role}]};
roles: fit, excluded, other. Dev holds words and query wordings that training never sees; the wording of the
passages is partly shared, so it flatters: judge by passages written elsewhere.
"""

import argparse
import collections
import json
import os
import random
import re

import words


def up(s):
    return s[0].upper() + s[1:]


class Gen:
    def __init__(self, r, dev):
        self.r, self.dev = r, dev

    def half(self, choices):
        """Dev keeps every sixth word of a list to itself."""
        return [w for i, w in enumerate(choices) if (i % 6 == 5) == self.dev]

    def pick(self, choices, k=None, sel=True):
        ws = self.half(choices) if sel else choices
        return self.r.choice(ws) if k is None else self.r.sample(ws, min(k, len(ws)))

    def tpl(self, choices):
        return self.r.choice([w for i, w in enumerate(choices) if (i % 4 == 3) == self.dev] or choices)

    def wrap(self, key):
        f = self.r.sample(words.FILL, self.r.randint(0, 3))
        i = self.r.randint(0, len(f))
        f.insert(i, key)
        return " ".join(f)

    def name(self):
        return self.r.choice(words.NAMES)

    def art(self, s):
        return ("the " + self.name() + " " + s) if self.r.random() < 0.6 else "our " + s

    def feature(self):
        r = self.r
        s, f = self.pick(words.SERVICES), self.pick(words.FEATURES)
        a, b = self.art(s), self.art(s)
        fill = lambda t, x: t.format(s=x, S=up(x), f=f, F=up(f))
        yes = self.wrap(fill(self.tpl(words.HAS_TEXTS), a))
        no = self.wrap(fill(self.tpl(words.HASNT_TEXTS), b))
        g = self.pick([x for x in words.FEATURES if x != f])
        neg = r.random() < 0.68
        q = self.tpl(words.HASNT_QUERIES if neg else words.HAS_QUERIES).format(s=s, f=f)
        fit, ex = (no, yes) if neg else (yes, no)
        extra = []
        if neg and r.random() < 0.4:  # silent article: lists other features only
            fit2 = self.wrap(self.tpl(words.HAS_TEXTS).format(s=b, S=up(b), f=g, F=up(g)))
            if r.random() < 0.5:
                fit = fit2
            else:
                extra = [(fit2, 1.0)]
        return "feature", q, fit, ex, extra

    def silent(self):
        """Exclusion by silence: the fitting article names something else."""
        r = self.r
        k = r.randrange(4)
        if k == 0:
            d = self.pick(words.DISHES)
            xs = self.pick(words.FOODS, 4)
            bad = xs[0]
            rest = xs[1:]
            mk = lambda ings: self.wrap(
                r.choice(words.FOOD_TEXTS).format(d=d, i=", ".join(ings[:-1]) + " and " + ings[-1])
            )
            q = self.tpl(words.FOOD_QUERIES).format(d=d, x=bad)
            w = rest[:]
            w[r.randrange(len(w))] = bad
            fit = (
                mk(rest)
                if r.random() < 0.7
                else self.wrap(f"This {d} contains {rest[0]} and {rest[1]} but no {bad}.")
            )
            return "silent-food", q, fit, mk(w), []
        if k == 1:
            t = self.pick(words.THINGS)
            x, y = self.pick(words.BRANDS, 2)
            mk = lambda b: self.wrap(r.choice(words.BRAND_TEXTS).format(t=t, b=b))
            q = self.tpl(words.BRAND_QUERIES).format(t=t, x=x)
            return "silent-brand", q, mk(y), mk(x), []
        if k == 2:
            s = self.pick(words.SERVICES)
            x, y = self.pick(words.PLACES, 2)
            mk = lambda b: self.wrap(r.choice(words.PLACE_TEXTS).format(s=s, b=b))
            q = self.tpl(words.PLACE_QUERIES).format(s=s, x=x)
            return "silent-place", q, mk(y), mk(x), []
        c = self.pick(words.CONDS)
        x, y = self.pick(words.DRUGS, 2)
        mk = lambda b: self.wrap(r.choice(words.DRUG_TEXTS).format(b=b, B=up(b), c=c))
        q = self.tpl(words.DRUG_QUERIES).format(c=c, x=x)
        return "silent-drug", q, mk(y), mk(x), []

    def when(self):
        r = self.r
        a, e = self.pick(words.ACTS), self.pick(words.EVENTS)
        w = r.random() < 0.5
        mk = lambda before: self.wrap(
            r.choice(words.BEFORE_TEXTS if before else words.AFTER_TEXTS).format(a=a, A=up(a), e=e)
        )
        q = self.tpl(words.BEFORE_QUERIES if w else words.AFTER_QUERIES).format(a=a, e=e)
        return "when", q, mk(w), mk(not w), []

    def year(self):
        r = self.r
        y = r.randint(1985, 2024)
        t = self.pick(words.THINGS)
        b = self.pick(words.BRANDS)
        before = r.random() < 0.5
        d1, d2 = y - r.randint(1, 9), y + r.randint(1, 9)
        mk = lambda v: self.wrap(r.choice(words.YEAR_TEXTS).format(b=b, t=t, v=v))
        q = self.tpl(words.OLDER_QUERIES if before else words.NEWER_QUERIES).format(t=t, b=b, y=y)
        return "year", q, mk(d1 if before else d2), mk(d2 if before else d1), []

    def number(self):
        r = self.r
        u, p, lab = self.pick(words.UNITS, sel=not self.dev and True)
        s = self.pick(words.SERVICES if r.random() < 0.6 else words.THINGS)
        n = r.choice(words.NUMBERS)
        m = r.choice([x for x in (n + 1, n * 2, n * 3, max(1, n // 2), n + 10, n * 10, n + 5) if x != n])
        mk = lambda v: self.wrap(f"The {s} is {p.format(v, u)}.")
        x = r.random()
        if x < 0.6:
            q = self.tpl(words.NUMBER_QUERIES).format(s=s, p=p.format(n, u), n=n, u=u, lab=lab)
            fit, ex = n, m
        else:
            hi = r.random() < 0.5
            lo_, hi_ = min(n, m), max(n, m)
            if hi_ - lo_ < 2:
                hi_ += 4
            t = (lo_ + hi_) // 2
            q = self.tpl(words.LIMIT_QUERIES).format(
                s=s,
                lab=lab,
                t=t,
                u=u,
                c=r.choice(["over", "above", "more than"] if hi else ["under", "below", "less than"]),
            )
            fit, ex = (hi_, lo_) if hi else (lo_, hi_)
        return "number", q, mk(fit), mk(ex), []

    def swap(self):
        r = self.r
        k = r.randrange(3)
        if k == 0:
            x, y = self.pick(words.SYSTEMS, 2)
            T, Q = words.SYSTEM_TEXTS, words.SYSTEM_QUERIES
        elif k == 1:
            x, y = self.pick(words.PLACES, 2)
            T, Q = words.TRAVEL_TEXTS, words.TRAVEL_QUERIES
        else:
            x, y = self.pick(words.BRANDS, 2)
            T = words.DEAL_TEXTS
            i = r.randrange(5)
            t = T[i]
            q = words.DEAL_QUERIES[i].format(x=x, y=y)
            f = r.sample(words.FILL, 1)[0]
            return "swap", q, t.format(x=x, y=y) + " " + f, t.format(x=y, y=x) + " " + f, []
        t = self.tpl(T) if r.random() < 0.5 else None
        mk = lambda a, b: self.wrap((t or r.choice(T)).format(x=a, y=b))
        return "swap", self.tpl(Q).format(x=x, y=y), mk(x, y), mk(y, x), []

    def rule(self):
        r = self.r
        a = self.pick(words.ACTS)
        e = self.pick(words.EVENTS)
        w = r.choice(["during ", "throughout ", "in the week of "]) + e
        neg = r.random() < 0.5
        fm = lambda T: self.wrap(r.choice(T).format(a=a, A="To " + a, w=w, w2=up(w)))
        yes, no = fm(words.ALLOWED_TEXTS), fm(words.FORBIDDEN_TEXTS)
        q = self.tpl(words.FORBIDDEN_QUERIES if neg else words.ALLOWED_QUERIES).format(a=a, w=w)
        return "rule", q, (no if neg else yes), (yes if neg else no), []

    def support(self):
        r = self.r
        x = self.pick(words.SYSTEMS)
        t = self.pick(words.BRANDS)
        neg = r.random() < 0.55
        yes = self.wrap(r.choice(words.SUPPORT_TEXTS).format(t=t, x=x))
        no = self.wrap(r.choice(words.NO_SUPPORT_TEXTS).format(t=t, x=x))
        q = self.tpl(words.NO_SUPPORT_QUERIES if neg else words.SUPPORT_QUERIES).format(x=x, t=t)
        return "support", q, (no if neg else yes), (yes if neg else no), []

    def listed(self):
        """Everything except one member."""
        r = self.r
        s = self.pick(words.SERVICES)
        xs = self.pick(words.FEATURES if r.random() < 0.5 else words.PLACES, 4)
        x, oth = xs[0], xs[1:]
        ex = self.wrap(r.choice(words.EXCEPT_TEXTS).format(s=s, x=x, X=up(x)))
        inc = self.wrap(
            r.choice(words.INCLUDED_TEXTS).format(
                s=s, l=", ".join(oth[:2]) + " and " + x, L=up(", ".join(oth[:2]) + " and " + x)
            )
        )
        neg = r.random() < 0.6
        q = self.tpl(words.EXCEPT_QUERIES if neg else words.INCLUDED_QUERIES).format(s=s, x=x)
        return "except", q, (ex if neg else inc), (inc if neg else ex), []


def real(work, r, n_med, n_doc, n_num):
    docs = [json.loads(l) for l in open(os.path.join(work, "docs.jsonl"))]
    by = {d["id"]: d for d in docs}
    Q = [json.loads(l) for l in open(os.path.join(work, "queries.jsonl"))]
    out = []
    # health: another aspect of the topic than the one ruled out
    asp = collections.defaultdict(dict)
    for q in Q:
        if q["set"] == "health" and q["source"].startswith("m:") and q["kind"] == "question":
            for nm, p in words.ASPECTS:
                if re.search(p, q["query"], re.I):
                    asp[by[q["source"]]["title"]][nm] = q["source"]
                    break
    for t in sorted(asp):
        a = asp[t]
        ks = sorted(a)
        for x in ks:
            for y in ks:
                if x != y and len(out) < n_med:
                    q = r.choice(words.ASPECT_QUERIES).format(t=t, x=x, y=y)
                    out.append(("aspect", q, by[a[y]]["text"], by[a[x]]["text"], []))
    # documentation: a sibling section, with one section ruled out
    grp = collections.defaultdict(list)
    for d in docs:
        if d["set"] == "docs" and " - " in d["title"]:
            p, h = d["title"].split(" - ", 1)
            grp[p].append((h, d))
    ks = sorted(k for k in grp if len({h for h, _ in grp[k]}) > 1)
    r.shuffle(ks)
    k0 = len(out)
    for k in ks:
        (h1, a), (h2, b) = r.sample(grp[k], 2)
        if h1 == h2 or len(out) - k0 >= n_doc or len(h2.split()) > 7 or len(h1.split()) > 7:
            continue
        q = r.choice(words.SECTION_QUERIES).format(p=k.lower(), a=h1.lower(), b=h2.lower())
        out.append(("section", q, a["title"] + " " + a["text"], b["title"] + " " + b["text"], []))
    # numbers, directions and polarity perturbed inside real passages
    pert = [d for d in docs]
    r.shuffle(pert)
    k1 = len(out)
    for d in pert:
        if len(out) - k1 >= n_num:
            break
        ss = [s for s in re.split(r"(?<=[.!?])\s+(?=[A-Z])", d["text"]) if 8 <= len(s.split()) <= 26]
        r.shuffle(ss)
        for s in ss[:3]:
            nums = [m for m in re.finditer(r"\b\d{1,4}\b(?![.\d-])", s)]
            if nums and r.random() < 0.8:
                m = r.choice(nums)
                v = int(m.group())
                w = r.choice([v + 1, v * 2, v + 10, max(0, v - 1), v * 10])
                if w == v:
                    continue
                s2 = s[: m.start()] + str(w) + s[m.end() :]
            else:
                c = [(p, t) for p, t in words.FLIPS if re.search(p, s)]
                if not c:
                    continue
                p, t = r.choice(c)
                s2 = re.sub(p, t, s, count=1)
            i = d["text"].find(s)
            if i < 0:
                continue
            # keep a window around the sentence so that the difference is within reach
            pre, post = d["text"][:i].split()[-25:], d["text"][i + len(s) :].split()[:30]
            mk = lambda x: " ".join(pre + [x] + post)
            q = s.rstrip(".") if r.random() < 0.5 else s
            out.append(("perturbed", q, mk(s), mk(s2), []))
            break
    return out


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--work", required=True)
    a.add_argument("--n", type=int, default=2500)
    a.add_argument(
        "--real", type=int, nargs=3, default=[350, 350, 700], metavar=("HEALTH", "DOCS", "PERTURBED")
    )
    a.add_argument("--seed", type=int, default=3)
    a = a.parse_args()
    pool = [(d["id"], d["text"]) for d in map(json.loads, open(os.path.join(a.work, "docs.jsonl")))]
    # target logits; contradicting passages stay above unrelated ones
    FIT, EXCL, OTHER = 2.5, -1.5, -5.0
    for dev in (False, True):
        r = random.Random(a.seed + dev)
        g = Gen(r, dev)
        rows = []
        fams = (
            [g.feature] * 5
            + [g.silent] * 7
            + [g.when] * 3
            + [g.year] * 2
            + [g.number] * 4
            + [g.swap] * 3
            + [g.rule] * 2
            + [g.support] * 2
            + [g.listed] * 2
        )
        n = 300 if dev else a.n
        rows = [r.choice(fams)() for _ in range(n)]
        if not dev:
            rows += real(a.work, r, *a.real)
        r.shuffle(rows)
        seen = set()
        k = 0
        gen = [x for x in rows if x[0] not in ("aspect", "section", "perturbed")]
        with open(os.path.join(a.work, "contrast_dev.jsonl" if dev else "contrast.jsonl"), "w") as f:
            for fam, q, fit, ex, extra in rows:
                if q in seen or fit == ex:
                    continue
                seen.add(q)
                p = f"{'cd' if dev else 'c'}{k}"
                k += 1
                if r.random() < 0.08:
                    q = up(q)
                excl = EXCL + (1.5 if fam == "perturbed" else 0.5 if fam in ("section", "aspect") else 0)
                D = [
                    dict(id=p + "-fit", text=fit, teacher=FIT, label=1, role="fit"),
                    dict(id=p + "-ex", text=ex, teacher=excl, label=0, role="excluded"),
                ]
                for j, (t, _) in enumerate(extra):
                    D.append(dict(id=f"{p}-fit{j}", text=t, teacher=FIT - 0.5, label=1, role="fit"))
                if r.random() < 0.5:
                    i, t = r.choice(pool)
                    D.append(dict(id=i, text=t, teacher=OTHER, label=0, role="other"))
                else:
                    x = r.choice(gen)
                    D.append(
                        dict(
                            id=f"{p}-oth",
                            text=x[2 + r.randrange(2)],
                            teacher=OTHER + 0.5,
                            label=0,
                            role="other",
                        )
                    )
                f.write(
                    json.dumps(dict(qid=p, kind="contrast", family=fam, query=q, docs=D), ensure_ascii=False)
                    + "\n"
                )
        print(dev, k, collections.Counter(x[0] for x in rows))


if __name__ == "__main__":
    main()
