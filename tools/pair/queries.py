#!/usr/bin/env python3
"""Makes training queries and the passages they are drawn from.

    queries.py --docs DOC_CORPUS_DIR --medquad DIR --pubmedqa DIR --out DIR [--sample FILE] [--permissive]

Out: docs.jsonl ({id, set, title, text}) and queries.jsonl
({qid, set, kind, query, source, source_text, drop_title}). `source_text` is the source passage as the query
must see it: with the sentence that became the query taken out, for half of the claim-like ones.

Kinds: heading, howto, what, keywords, claim (documentation); question, terms, claim (health, research).
Only the training splits are read.
"""

import argparse
import collections
import json
import math
import os
import random
import re

from words import items


def pairs(text):
    """`key=value`, with bars between them."""
    return dict(item.split("=") for item in items(text))


STOP = set(
    """
the of and to a in is that for it as be with on are this or by an can you from not if which will at has
have was were its their may more also than these those when then there use used using into such other any
all do does your we they he she one two but so no only most some must should would could been being
between about over under out up where what who how each both during after before
""".split()
)
ING = pairs("""
getting=get | setting=set | running=run | putting=put | planning=plan | splitting=split |
stopping=stop | swapping=swap | mapping=map | debugging=debug | tagging=tag | controlling=control |
formatting=format | submitting=submit | committing=commit | cutting=cut | beginning=begin |
plugging=plug | logging=log | shutting=shut | trimming=trim | scanning=scan
""")
E_VERBS = set(
    """
configur creat us manag delet remov upgrad enabl disabl migrat updat writ mak chang resiz restor schedul
secur shar stor tun validat verif replicat automat customiz generat initializ invok isolat locat merg mov
organiz optimiz prepar provid pars rais releas renam replac resolv reus rotat sav scal serv simulat
subscrib terminat translat typ utiliz analyz authenticat balanc brows cach calculat combin compar compil
defin describ determin encod escap execut expos freez handl hid ignor includ increas integrat interfac
measur minimiz nam observ paus produc promot receiv reduc resum retriev revok rout separat slic solv
synchroniz tak throttl trac
""".split()
)
KEEP = {"treat", "format", "repeat", "float", "heat", "add", "occur", "recur", "concur", "err", "miss"}
COPYLEFT = set(
    """
apt-doc aptitude-doc-en bash-doc debian-faq debian-policy debian-reference-en debmake-doc
developers-reference dict-foldoc dict-jargon exim4-doc-html gimp-help-en git-doc gnome-user-docs
gnucash-docs gnumed-doc haproxy-doc homebank-data installation-guide-amd64 krb5-doc libvirt-doc
lilypond-doc-html mailman3-doc maint-guide octave-doc r-doc-html rsyslog-doc shorewall-doc vim-doc xen-doc
""".split()
)
PRODUCT = pairs("""
postgresql-doc-15=postgresql | apache2-doc=apache | git-doc=git | bind9-doc=bind | gimp-help-en=gimp |
gnome-user-docs=gnome | gnucash-docs=gnucash | libreoffice-help-en-us=libreoffice |
python-django-doc=django | sqlite3-doc=sqlite | nova-doc=nova | neutron-doc=neutron |
cinder-doc=cinder | keystone-doc=keystone | swift-doc=swift | ironic-doc=ironic | octavia-doc=octavia |
krb5-doc=kerberos | postfix-doc=postfix | exim4-doc-html=exim | haproxy-doc=haproxy |
shorewall-doc=shorewall | rsyslog-doc=rsyslog | python-celery-doc=celery | tomcat10-docs=tomcat |
xen-doc=xen | python-sklearn-doc=scikit-learn | python-pandas-doc=pandas | rust-doc=rust |
borgbackup-doc=borg | installation-guide-amd64=debian installer
""")
# Passages of a package at most, times --scale.
CAP = collections.defaultdict(lambda: 420)
CAP.update(
    (package, int(cap))
    for package, cap in pairs("""
dict-foldoc=5000 | wordnet-base=2500 | dict-jargon=200 | lilypond-doc-html=150 | octave-doc=200 |
ant-doc=200 | aspectj-doc=150 | perl-doc=200 | bash-doc=120 | debian-policy=250 | gnome-user-docs=585 |
gnucash-docs=700 | gimp-help-en=600 | r-doc-html=250 | python-nibabel-doc=60 | vim-doc=100 |
python-pytest-doc=150 | apache2-doc=700 | postgresql-doc-15=900 | sqlite3-doc=600 | nova-doc=800 |
neutron-doc=800 | cinder-doc=600 | libreoffice-help-en-us=900 | python-django-doc=700 | rust-doc=400 |
git-doc=600
""").items()
)
# Wordings of a heading that is a term, something to do, anything else.
DEFINE = items("""
what is {} | what is {}? | define {} | {} meaning | {} definition | what does {} mean | explain {} |
what is meant by {} | {}
""")
HOW = items("""
how to {} | how do I {}? | how can I {} | steps to {} | what do I need to do to {}? |
is there a way to {}? | {}
""")
WHAT = items("""
what is {} | what is {} for? | {} | {} | how does {} work? | explain {} | tell me about {} |
when should I use {}? | information on {} | {} options | how to set up {} | which settings matter for {}?
""")


def toks(s):
    return re.findall(r"[a-z0-9][a-z0-9.+'-]*[a-z0-9]|[a-z0-9]", s.lower())


def sentences(t):
    return [s.strip() for s in re.split(r"(?<=[.!?])\s+(?=[A-Z\"(])", t)]


def cut(t, n):
    w = t.split()
    if len(w) <= n:
        return t
    t = " ".join(w[:n])
    e = max(t.rfind(". "), t.rfind("? "))
    return t[: e + 1] if e > len(t) * 0.6 else t


def base(verb):
    v = verb.lower()
    if v in ING:
        return ING[v]
    s = v[:-3]
    if s in E_VERBS:
        return s + "e"
    if s in KEEP:
        return s
    if re.search(r"(at|iz|is|ys|v|c|ur|u|dl|bl|pl|tl|gl)$", s):
        return s + "e"
    if re.search(r"(bb|gg|mm|nn|pp|tt|rr)$", s):
        return s[:-1]
    return s if len(s) > 2 else v


class Maker:
    def __init__(self, docs, rnd):
        self.rnd = rnd
        self.df = collections.Counter()
        for d in docs:
            self.df.update(set(toks(d["text"])))
        self.n = len(docs)

    def idf(self, w):
        return math.log(1 + self.n / (1 + self.df[w]))

    def salient(self, text, k):
        tf = collections.Counter(w for w in toks(text) if w not in STOP and len(w) > 2 and not w[0].isdigit())
        best = sorted(tf, key=lambda w: -(tf[w] ** 0.5) * min(self.idf(w), 6.5) * (self.df[w] > 1))[: k + 3]
        best = self.rnd.sample(best, min(k, len(best)))
        order = {w: i for i, w in reversed(list(enumerate(toks(text))))}
        return " ".join(sorted(best, key=lambda w: order.get(w, 0)))

    def sentence(self, text, lo=7, hi=28):
        ss = [
            s
            for s in sentences(text)
            if lo <= len(s.split()) <= hi
            and s.endswith(".")
            and not re.match(
                r"(this|these|it|they|he|she|see|note|for example|however|also|such|in this|the following|that|those|here|example)\b",
                s,
                re.I,
            )
        ]
        return self.rnd.choice(ss) if ss else None

    def term(self, s):
        """A shortened, keyword-like form of a question or sentence."""
        return " ".join(w for w in toks(s) if w not in STOP)

    def claim(self, s):
        s = re.sub(
            r"^(additionally|furthermore|therefore|thus|in addition|moreover|finally|in conclusion|we (found|conclude|observed) that|our (results|findings|data) (show|suggest|indicate) that|conclusions?:?|results?:?)[, ]*",
            "",
            s,
            flags=re.I,
        )
        s = re.sub(r"\s*\([^)]*\)", "", s).rstrip(".")
        r = self.rnd.random()
        if r < 0.45:
            s = s + "."
        if r > 0.75:
            s = s[0].lower() + s[1:]
        return s[0].upper() + s[1:] if r < 0.45 else s


def heading_queries(m, d):
    r = m.rnd
    parts = [p for p in d["path"]][-2:]
    h = re.sub(r"[\u00bb\u201c\u201d\"<>]", "", parts[-1]).strip(" .:?")
    par = re.sub(r"[<>\"]", "", parts[0]).strip(" .:") if len(parts) > 1 else ""
    prod = PRODUCT.get(d["pkg"], "")
    low = h if sum(c.isupper() for c in h) > 3 and len(h.split()) < 3 else h[0].lower() + h[1:]
    low = " ".join(
        w if not re.match(r"^[A-Z][a-z]+$", w) or r.random() < 0.3 else w.lower() for w in low.split()
    )
    if d["pkg"].startswith(("dict-", "wordnet")):
        return [("what", r.choice(DEFINE).format(h if r.random() < 0.5 else h.lower()))]
    ctx = (
        prod
        if prod and prod not in low.lower()
        else (par.lower() if len(par.split()) < 5 and par.lower() not in low.lower() else "")
    )
    out = []
    first = low.split()[0].lower()
    if re.search(r"\?$", parts[-1]) or first in ("how", "what", "why", "when", "where", "can", "do", "is"):
        out.append(("howto", low + ("?" if r.random() < 0.6 else "")))
    elif first.endswith("ing") and len(first) > 5 and len(low.split()) > 1:
        act = base(first) + " " + " ".join(low.split()[1:])
        w = r.choice(HOW)
        q = w.format(act)
        if ctx and r.random() < 0.5:
            q = q.rstrip("?") + r.choice([" in ", " with ", " on "]) + ctx + ("?" if w.endswith("?") else "")
        out.append(("howto", q))
    elif len(low.split()) == 1 and not ctx:
        return []
    else:
        w = r.choice(WHAT)
        q = w.format((low + " " + ctx).strip() if r.random() < 0.5 else (ctx + " " + low).strip())
        out.append(("heading" if w == "{}" else "what", q))
    return out


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--docs", required=True)
    a.add_argument("--medquad", required=True)
    a.add_argument("--pubmedqa", required=True)
    a.add_argument("--sample")
    a.add_argument("--out", required=True)
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--doc-queries", type=int, default=5200)
    a.add_argument("--health-queries", type=int, default=2800)
    a.add_argument("--health-docs", type=int, default=1700)
    a.add_argument("--scale", type=float, default=0.1, help="share of each package's cap to keep")
    a.add_argument("--permissive", action="store_true", help="leave out packages under copyleft licences")
    a.add_argument("--words", type=int, default=100, help="longest passage")
    a = a.parse_args()
    r = random.Random(a.seed)
    os.makedirs(a.out, exist_ok=True)
    # documentation: whole files, so that a passage's neighbours are there as hard negatives
    byfile = collections.defaultdict(list)
    for l in open(os.path.join(a.docs, "corpus.jsonl")):
        d = json.loads(l)
        n = len(d["text"].split())
        f = d["metadata"]["file"]
        if a.permissive and d["metadata"]["package"] in COPYLEFT:
            continue
        if (
            d["metadata"]["package"] == "rust-doc"
            and "/book/" not in f
            and "/rust-by-example/" not in f
            and "/reference/" not in f
        ):
            continue
        if 35 <= n <= 190 or d["metadata"]["package"].startswith(("dict", "wordnet")):
            byfile[d["metadata"]["package"], f].append(d)
    files = sorted(byfile)
    r.shuffle(files)
    cnt = collections.Counter()
    docs = []
    for k in files:
        pkg = k[0]
        lim = CAP[pkg] * a.scale
        if cnt[pkg] >= lim:
            continue
        ds = byfile[k]
        if len(ds) > 30:
            if pkg.startswith(("dict", "wordnet")):
                r.shuffle(ds)
                ds = ds[: int(lim)]
            else:
                s = r.randrange(len(ds) - 30)
                ds = ds[s : s + 30]
        cnt[pkg] += len(ds)
        docs += [
            dict(
                id="d:" + d["_id"],
                set="docs",
                title=d["title"],
                text=cut(d["text"], a.words),
                path=d["metadata"]["path"],
                pkg=pkg,
            )
            for d in ds
        ]
    if a.sample:
        for l in open(a.sample):
            d = json.loads(l)
            t = cut(d["text"], a.words)
            docs.append(
                dict(
                    id="s:" + d["_id"], set="docs", title=d["title"], text=t, path=[d["title"]], pkg="sample"
                )
            )
    m = Maker(docs, r)
    Q = []

    def ask(kind, query, d, text, drop_title):
        Q.append(
            dict(set="docs", kind=kind, query=query, source=d["id"], source_text=text, drop_title=drop_title)
        )

    def remove(text, s):
        return re.sub(r"\s+", " ", text.replace(s, " ")).strip()

    r2 = []
    for _ in range(4):
        x = [d for d in docs]
        r.shuffle(x)
        r2 += x
    kinds = ["head"] * 45 + ["claim"] * 27 + ["key"] * 28
    for d in r2:
        if len(Q) >= a.doc_queries:
            break
        dic = d["pkg"].startswith(("dict-", "wordnet"))
        k = "head" if dic and r.random() < 0.75 else r.choice(kinds)
        if k == "head":
            for kind, q in heading_queries(m, d)[:1]:
                if 1 < len(q.split()) < 16 and len(q) < 110:
                    ask(kind, q, d, d["text"], (not dic) and r.random() < 0.6)
        elif k == "claim":
            s = m.sentence(d["text"])
            if not s:
                continue
            rest = remove(d["text"], s) if r.random() < 0.5 else d["text"]
            if len(rest.split()) < 25:
                continue
            q = m.claim(s) if r.random() < 0.6 else m.term(s)
            ask("claim", q, d, rest, r.random() < 0.5)
        else:
            s = m.salient((d["title"] + " ") * (r.random() < 0.4) + d["text"], r.randint(3, 6))
            if len(s.split()) > 2:
                ask("keywords", s, d, d["text"], r.random() < 0.6)
    # health and research
    texts = {}
    for l in open(os.path.join(a.medquad, "corpus.jsonl")):
        d = json.loads(l)
        texts[str(d["_id"])] = d
    qs = {
        str(json.loads(l)["_id"]): json.loads(l)["text"]
        for l in open(os.path.join(a.medquad, "queries.jsonl"))
    }
    rel = [
        l.split("\t")[:2]
        for l in open(os.path.join(a.medquad, "qrels", "train.tsv")).read().split("\n")[1:]
        if l
    ]
    topics = sorted({texts[x[1]]["title"] for x in rel})
    r.shuffle(topics)
    keep, n = set(), collections.Counter(texts[x[1]]["title"] for x in rel)
    tot = 0
    for t in topics:
        if tot >= a.health_docs:
            break
        keep.add(t)
        tot += n[t]
    hd = []
    pairs = []
    for qi, di in rel:
        d = texts[di]
        if d["title"] not in keep or len(d["text"].split()) < 20:
            continue
        t = cut(d["text"], a.words)
        hd.append(dict(id="m:" + di, set="health", title=d["title"], text=t))
        pairs.append((qs[qi], "m:" + di))
    pq = {
        str(json.loads(l)["_id"]): json.loads(l)["text"]
        for l in open(os.path.join(a.pubmedqa, "queries.jsonl"))
    }
    pc = {str(json.loads(l)["_id"]): json.loads(l) for l in open(os.path.join(a.pubmedqa, "corpus.jsonl"))}
    prel = [
        l.split("\t")[:2]
        for l in open(os.path.join(a.pubmedqa, "qrels", "train.tsv")).read().split("\n")[1:]
        if l
    ]
    hdoc = {d["id"]: d for d in hd}
    P = []
    for qi, di in prel:
        full = pc[di]["text"]
        t = cut(full, a.words + 20)
        d = dict(id="p:" + di, set="health", title="", text=t)
        hd.append(d)
        hdoc[d["id"]] = d
        P.append((pq[qi], d["id"]))
    mh = Maker(hd, r)
    H = []

    def ask_health(kind, query, d, text):
        H.append(dict(kind=kind, query=query, source=d["id"], source_text=text))

    for q, di in P:
        d = hdoc[di]
        ask_health("question", q, d, d["text"])
        st = re.sub(r"\?$", "", q)
        if r.random() < 0.5:
            ask_health("terms", mh.term(st), d, d["text"])
        for _ in range(2):
            s = mh.sentence(d["text"], 8, 32)
            if s:
                ask_health("claim", mh.claim(s), d, remove(d["text"], s))
    r.shuffle(pairs)
    pairs = pairs + r.sample(pairs, len(pairs))
    for q, di in pairs:
        if len(H) >= a.health_queries:
            break
        d = hdoc[di]
        q = re.sub(r"\s+\?", "?", q)
        x = r.random()
        if x < 0.4:
            ask_health("question", q if r.random() < 0.6 else q.rstrip("?").lower(), d, d["text"])
        elif x < 0.6:
            ask_health("terms", mh.term(q), d, d["text"])
        elif x < 0.9:
            s = mh.sentence(d["text"], 8, 28)
            if s:
                rest = remove(d["text"], s)
                if len(rest.split()) > 25:
                    ask_health("claim", mh.claim(s), d, rest if r.random() < 0.5 else d["text"])
        else:
            s = mh.salient(d["text"], r.randint(3, 6))
            ask_health("keywords", s, d, d["text"])
    for h in H:
        h.update(set="health", drop_title=r.random() < 0.65)
    Q += H
    with open(os.path.join(a.out, "docs.jsonl"), "w") as f:
        for d in docs + hd:
            f.write(json.dumps({k: d[k] for k in ("id", "set", "title", "text")}, ensure_ascii=False) + "\n")
    with open(os.path.join(a.out, "queries.jsonl"), "w") as f:
        for i, q in enumerate(Q):
            f.write(json.dumps(dict(qid=f"q{i}", **q), ensure_ascii=False) + "\n")
    print(
        len(docs),
        "documentation passages,",
        len(hd),
        "health passages,",
        collections.Counter((q["set"], q["kind"]) for q in Q),
    )


if __name__ == "__main__":
    main()
