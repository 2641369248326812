#!/usr/bin/env python3
"""Turns unpacked Debian documentation packages into a BEIR corpus of passages.

    doc_corpus.py UNPACKED_DIR OUT_DIR

UNPACKED_DIR holds one folder per package, each the result of `dpkg-deb -x`.
OUT_DIR receives corpus.jsonl ({_id, title, text, metadata}) and licences.tsv.

A passage is the prose under one heading (30 to 250 words): paragraphs and list
items, no tables, listings or navigation. The title is the heading, preceded by
its parent. Dictionary packages (dict-*, wordnet) give one passage an entry.
Non-English pages, boilerplate and repeated passages are dropped.
"""

import gzip, hashlib, json, os, re, sys
from lxml import etree, html

MIN, MAX, TARGET = 30, 250, 130
STOP = set(
    "the of and to a in is that for it as be with on are this or by an can you from not if which will".split()
)
SKIP = {
    "script",
    "style",
    "nav",
    "table",
    "pre",
    "footer",
    "header",
    "form",
    "head",
    "svg",
    "math",
    "button",
    "noscript",
    "programlisting",
    "screen",
    "comment",
    "info",
    "code-block",
}
SKIP_CLASS = re.compile(
    r"sidebar|navheader|navfooter|related|footer|headerlink|breadcrumb|toctree|toc\b|highlight|indextable|navigation|admonition-todo|langbar|menu",
    re.I,
)
BLOCK = {"p", "li", "dd", "item", "blockquote"}
HEAD = re.compile(r"^h([1-6])$")
LOCALE = re.compile(
    r"(^|[/._-])(de|fr|it|es|pt|ja|ru|zh|ko|pl|nl|tr|da|sv|fi|cs|ca|hu|ro|uk|el|id|vi|nb|sk|sl|hr|fa|ar|he|pt[_-]BR|zh[_-](CN|TW|Hans|Hant)|[a-z]{2}-[A-Z]{2})(\.utf8|\.UTF-8)?([/.]|$)"
)
BAD_PATH = re.compile(
    r"(genindex|search|py-modindex|/_modules/|/_sources/|changelog|releaselog|release-?notes|whatsnew|/api/|apidocs|javadoc|/reference/generated|/std/|/core/|/alloc/|/proc_macro/|/test/|keyword-index|index-[a-z]\.|contributor/api|/stable_mir|error_codes/|/translations?/|copyright|NEWS|license)",
    re.I,
)
BAD_HEAD = re.compile(
    r"^(index|contents|table of contents|see also|references?|bibliography|copyright|licen[sc]e|changelog|acknowledg|author|credits|navigation|synopsis|search|colophon|git$|related|indices|bugs?)\b",
    re.I,
)


def words(s):
    return re.findall(r"[A-Za-z][A-Za-z'-]*", s)


def clean(s):
    s = s.replace("\u00b6", " ").replace("\uf0c1", " ")
    s = re.sub(r"\s+", " ", s).strip()
    return re.sub(r"\s+([.,;:!?)])", r"\1", s)


def prose(s):
    """True for English running text: enough stop words, few symbols."""
    w = words(s.lower())
    if len(w) < 8:
        return False
    share = sum(x in STOP for x in w) / len(w)
    odd = len(re.findall(r"[^\w\s.,;:'\"()?!\u2019\u201c\u201d\u2014\u2013-]|_|::|->", s)) / max(1, len(s))
    return share >= 0.2 and odd < 0.035


def text_of(el):
    parts = []

    def walk(e):
        if not isinstance(e.tag, str):
            if e.tail:
                parts.append(e.tail)
            return
        tag = etree.QName(e).localname.lower()
        if tag in SKIP or (e.get("class") and SKIP_CLASS.search(e.get("class"))):
            if e.tail:
                parts.append(e.tail)
            return
        if e.text:
            parts.append(e.text)
        for c in e:
            walk(c)
        if e.tail:
            parts.append(e.tail)

    if el.text:
        parts.append(el.text)
    for c in el:
        walk(c)
    return clean("".join(parts))


def sections(root, mallard):
    """Yields (heading path, [paragraphs]) in document order."""
    path, paras, out = {}, [], []

    def flush():
        nonlocal paras
        if paras:
            out.append(([path[k] for k in sorted(path)], paras))
        paras = []

    def walk(e, depth):
        if not isinstance(e.tag, str):
            return
        tag = etree.QName(e).localname.lower()
        if tag in SKIP or (e.get("class") and SKIP_CLASS.search(e.get("class"))):
            return
        m = HEAD.match(tag)
        if m or (mallard and tag == "title"):
            flush()
            level = int(m.group(1)) if m else depth
            for k in [k for k in path if k >= level]:
                del path[k]
            t = text_of(e)
            t = (
                re.sub(
                    r"^((chapter|appendix|part|section)\s+)?([A-Z]|\d+)(\.\d+)*[.:)]?\s+(?=\S)",
                    "",
                    t,
                    flags=re.I,
                )
                if re.match(r"^((chapter|appendix|part|section)\s+)?([A-Z]\.|\d)", t, re.I)
                else t
            )
            if t:
                path[level] = t.strip(" #")
            return
        if tag in BLOCK:
            kids = [
                c
                for c in e
                if isinstance(c.tag, str)
                and etree.QName(c).localname.lower() in BLOCK | {"ul", "ol", "dl", "div"}
            ]
            if not kids:
                t = text_of(e)
                if len(t) > 20:
                    paras.append(t)
                return
        for c in e:
            walk(c, depth + (mallard and etree.QName(e).localname.lower() == "section"))

    walk(root, 1)
    flush()
    return out


def pieces(paras):
    """Groups paragraphs into passages of about TARGET words, never over MAX."""
    cur, n = [], 0
    for p in paras:
        k = len(p.split())
        if k > MAX:
            p = " ".join(p.split()[:MAX])
            p = p[: p.rfind(".") + 1] or p
            k = len(p.split())
        if cur and (n + k > MAX or n >= TARGET):
            yield " ".join(cur)
            cur, n = [], 0
        cur.append(p)
        n += k
    if n >= MIN:
        yield " ".join(cur)


def licence(folder):
    for base, _, files in os.walk(folder):
        if "copyright" in files:
            t = open(os.path.join(base, "copyright"), errors="replace").read()
            m = re.findall(r"^Licen[sc]e:\s*(\S[^\n]*)", t, re.M | re.I)
            if m:
                return ", ".join(dict.fromkeys(x.strip() for x in m[:3]))
            for k in (
                "GFDL",
                "Free Documentation License",
                "Creative Commons",
                "Apache License",
                "GNU General Public",
                "BSD",
                "MIT",
                "public domain",
                "PostgreSQL",
            ):
                if k.lower() in t.lower():
                    return k + " (free text)"
    return "see the source package"


def dict_entries(path):
    raw = gzip.open(path, "rt", encoding="utf-8", errors="replace").read()
    for e in re.split(r"\n(?=\S)", raw):
        head, _, body = e.partition("\n")
        body = clean(re.sub(r"[{}]", "", body))
        body = re.sub(r"^(<[^>]*>\s*)+", "", body)
        body = re.sub(r"\s*\(\d{4}-\d{2}-\d{2}\)\s*$", "", body)
        yield head.strip(), body


def wordnet(folder):
    for base, _, files in os.walk(folder):
        if "data.noun" in files:
            by = {}
            rows = []
            for l in open(os.path.join(base, "data.noun"), encoding="latin-1"):
                if l.startswith("  "):
                    continue
                left, _, gloss = l.partition(" | ")
                f = left.split()
                n = int(f[3], 16)
                lem = [f[4 + 2 * i].replace("_", " ") for i in range(n)]
                np_ = int(f[4 + 2 * n])
                ptr = f[5 + 2 * n :]
                hyp = next((ptr[4 * i + 1] for i in range(np_) if ptr[4 * i] in ("@", "@i")), None)
                by[f[0]] = lem
                rows.append((lem, hyp, gloss.strip()))
            for lem, hyp, gloss in rows:
                g = clean(gloss.replace('"', ""))
                if len(g.split()) < 14:
                    continue
                up = by.get(hyp)
                yield lem[0], f"{', '.join(lem)}" + (f" (a kind of {up[0]})" if up else "") + f": {g}."


def main(src, out):
    os.makedirs(out, exist_ok=True)
    seen, n = set(), 0
    lic = open(os.path.join(out, "licences.tsv"), "w")
    lic.write("package\tpassages\tlicence\n")
    with open(os.path.join(out, "corpus.jsonl"), "w") as fh:

        def put(pkg, file, path, text):
            nonlocal n
            key = hashlib.sha1(" ".join(words(text.lower()))[:300].encode()).digest()
            if key in seen:
                return 0
            seen.add(key)
            title = " - ".join(dict.fromkeys(path[-2:]))
            fh.write(
                json.dumps(
                    {
                        "_id": f"{pkg}-{n}",
                        "title": title,
                        "text": text,
                        "metadata": {"package": pkg, "file": file, "path": path},
                    },
                    ensure_ascii=False,
                )
                + "\n"
            )
            n += 1
            return 1

        for pkg in sorted(os.listdir(src)):
            folder, count = os.path.join(src, pkg), 0
            if pkg.startswith("wordnet"):
                for k, (w, g) in enumerate(wordnet(folder)):
                    if k % 3 == 0:
                        count += put(pkg, "data.noun", [w], g)
            for base, dirs, files in os.walk(folder):
                dirs.sort()
                for f in sorted(files):
                    p = os.path.join(base, f)
                    rel = os.path.relpath(p, folder)
                    if f.endswith("foldoc.dict.dz") or f.endswith("jargon.dict.dz"):
                        for w, body in dict_entries(p):
                            if MIN <= len(body.split()) <= MAX and prose(body) and not w.startswith("00-"):
                                count += put(pkg, f, [w], body)
                        continue
                    mallard = f.endswith(".page")
                    if not (mallard or re.search(r"\.x?html?$", f)):
                        continue
                    if mallard and "/C/" not in p and "/en_US/" not in p:
                        continue
                    if LOCALE.search(rel.replace("en-US", "en").replace("en_US", "en")) or BAD_PATH.search(
                        rel
                    ):
                        continue
                    if os.path.getsize(p) > 3_000_000 or count >= 3000:
                        continue
                    try:
                        if mallard:
                            root = etree.parse(p).getroot()
                        else:
                            root = html.fromstring(open(p, "rb").read())
                            main = root.xpath(
                                "//main | //div[@role='main'] | //div[@id='content'] | //article"
                            )
                            root = main[0] if main and len(main[0].text_content()) > 300 else root
                        ss = sections(root, mallard)
                    except Exception:
                        continue
                    for path, paras in ss:
                        path = [x for x in path if 2 < len(x) < 110]
                        if not path or BAD_HEAD.match(path[-1]):
                            continue
                        for t in pieces(paras):
                            if MIN <= len(t.split()) <= MAX and prose(t):
                                count += put(pkg, rel, path, t)
            lic.write(f"{pkg}\t{count}\t{licence(folder)}\n")
            print(pkg, count, n, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
