"""Writes the tiny golden models and their values: `python make.py [family ...]`, all families without arguments."""

from __future__ import annotations

import sys

import bert
from common import deterministic

FAMILIES = {} | bert.FAMILIES


def main() -> None:
    deterministic()
    names = sys.argv[1:] or list(FAMILIES)
    unknown = [name for name in names if name not in FAMILIES]
    if unknown:
        raise SystemExit(f"unknown families {unknown}; known: {', '.join(FAMILIES)}")
    for name in names:
        FAMILIES[name]()


if __name__ == "__main__":
    main()
