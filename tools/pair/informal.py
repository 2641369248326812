#!/usr/bin/env python3
"""Words queries as people type them: lower case, no punctuation, fillers, short forms, slips of the finger.

    informal.py IN OUT [--share 0.7] [--limit 3000] [--seed 3]

IN is a file of pairs.py. Queries that are no contrasts are drawn; a share of them is reworded, their documents and
targets stay as they are, so that a model learns that the wording does not matter. The word lists are our own.
"""

import argparse, json, random, re

SHORT = {
    "you": ["u", "ya"],
    "your": ["ur", "yr"],
    "are": ["r"],
    "please": ["pls", "plz"],
    "because": ["cos", "cuz", "bc"],
    "and": ["n", "&"],
    "with": ["w/"],
    "without": ["w/o"],
    "something": ["smth", "sth"],
    "someone": ["somebody"],
    "people": ["ppl", "folks"],
    "information": ["info"],
    "application": ["app"],
    "applications": ["apps"],
    "configuration": ["config"],
    "configure": ["set up"],
    "directory": ["folder"],
    "database": ["db"],
    "number": ["no.", "nr"],
    "approximately": ["about", "roughly"],
    "children": ["kids"],
    "child": ["kid"],
    "physician": ["doc", "gp"],
    "doctor": ["doc"],
    "patients": ["ppl", "patients"],
    "medication": ["meds", "pills"],
    "medications": ["meds"],
    "treatment": ["fix", "treatment"],
    "treatments": ["stuff that helps"],
    "symptoms": ["signs", "what you notice"],
    "cause": ["trigger"],
    "causes": ["reasons"],
    "purchase": ["buy"],
    "obtain": ["get"],
    "receive": ["get"],
    "require": ["need"],
    "required": ["needed"],
    "requires": ["needs"],
    "terminate": ["kill", "end"],
    "delete": ["get rid of", "bin"],
    "remove": ["get rid of", "ditch"],
    "repair": ["fix"],
    "failure": ["crash", "screw up"],
    "error": ["err msg", "it says error"],
    "money": ["cash"],
    "employment": ["job"],
    "employee": ["worker"],
    "employer": ["boss"],
    "mother": ["mum", "mom"],
    "father": ["dad"],
    "infant": ["baby"],
    "pregnant": ["expecting"],
    "alcohol": ["booze"],
    "exhausted": ["knackered", "wiped out"],
    "fatigue": ["being tired all the time"],
    "abdominal": ["belly", "tummy"],
    "hypertension": ["high bp"],
    "immediately": ["right away", "asap"],
    "difficult": ["tricky", "a pain"],
    "determine": ["figure out", "tell"],
    "display": ["show"],
    "execute": ["run"],
    "modify": ["change", "tweak"],
    "permit": ["let"],
    "prevent": ["stop"],
    "additional": ["extra"],
    "numerous": ["lots of"],
    "several": ["a few"],
    "large": ["big"],
    "small": ["tiny"],
    "computer": ["machine", "laptop", "pc"],
    "system": ["box", "setup"],
    "photograph": ["pic"],
    "image": ["pic"],
    "message": ["msg"],
    "messages": ["msgs"],
    "document": ["doc"],
    "documentation": ["docs"],
    "package": ["pkg"],
    "password": ["pw", "pass"],
    "network": ["net"],
    "internet": ["net"],
    "temperature": ["temp"],
    "versus": ["vs"],
    "between": ["btw", "between"],
    "before": ["b4"],
    "tomorrow": ["tmrw"],
    "today": ["2day"],
    "at the moment": ["atm"],
    "as soon as possible": ["asap"],
    "do not": ["dont"],
    "does not": ["doesnt"],
    "cannot": ["cant"],
    "is not": ["isnt"],
    "will not": ["wont"],
    "going to": ["gonna"],
    "want to": ["wanna"],
    "have to": ["gotta"],
    "how do i": ["how 2", "how to"],
    "what is": ["whats", "what even is"],
    "what are": ["whats", "what r"],
    "who is": ["whos"],
    "how is": ["hows"],
    "is there": ["any"],
    "how to": ["best way to", "trying to", "cant work out how to"],
    "how can": ["any way"],
}
BEFORE = [
    "hey",
    "hi all",
    "so",
    "ok so",
    "um",
    "quick q",
    "stupid question but",
    "anyone know",
    "help",
    "pls help",
    "been wondering",
    "just wondering",
    "my mate says",
    "not sure if this is right but",
    "sorry if asked before",
    "need to know",
    "trying to understand",
    "no idea where to look",
    "tell me",
    "looking for",
    "got a question about",
    "right,",
    "dumb q:",
]
AFTER = [
    "thx",
    "thanks",
    "pls",
    "??",
    "anyone?",
    "or what",
    "any ideas",
    "asap",
    "lol",
    "help",
    "idk",
    "if that makes sense",
    "been at this all day",
    "cheers",
    "or is that wrong",
    "...",
    "!!",
    "tho",
    "right?",
    "n what do i do",
]
SMALL = set(
    "a an the of to in on for is are was were be do does did can could it its this that these those there as by from".split()
)


def slip(word, r):
    if len(word) < 5:
        return word
    i = r.randrange(1, len(word) - 2)
    return r.choice(
        [
            word[:i] + word[i + 1] + word[i] + word[i + 2 :],
            word[:i] + word[i + 1 :],
            word[:i] + word[i] + word[i:],
        ]
    )


def informal(query, r):
    text = query.lower() if r.random() < 0.85 else query
    for phrase, forms in SHORT.items():
        if r.random() < 0.7:
            text = re.sub(rf"\b{re.escape(phrase)}\b", lambda _: r.choice(forms), text, flags=re.I)
    if r.random() < 0.7:
        text = re.sub(r"[?.!,;:'\"]", "", text)
    words = text.split()
    if r.random() < 0.3:
        words = [w for w in words if w.lower() not in SMALL] or words
    if r.random() < 0.35:
        i = r.randrange(len(words))
        words[i] = slip(words[i], r)
    if r.random() < 0.4:
        words.insert(0, r.choice(BEFORE))
    if r.random() < 0.35:
        words.append(r.choice(AFTER))
    return " ".join(words)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("source")
    a.add_argument("out")
    a.add_argument("--share", type=float, default=0.7)
    a.add_argument("--limit", type=int, default=3000)
    a.add_argument("--seed", type=int, default=3)
    a = a.parse_args()
    r = random.Random(a.seed)
    lines = [json.loads(l) for l in open(a.source)]
    lines = [l for l in lines if not l["kind"].startswith("contrast")]
    with open(a.out, "w") as fh:
        for l in r.sample(lines, min(a.limit, len(lines))):
            if r.random() < a.share:
                l["query"] = informal(l["query"], r)
            fh.write(json.dumps(l, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
