"""Writes the tiny golden models and their values: `python make.py [family ...]`, all families without arguments."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from common import deterministic


def discover() -> dict:
    """The families of every module here, from its name to the function that writes it."""
    families = {}
    for file in sorted(Path(__file__).parent.glob("*.py")):
        if file.stem != "make":
            families |= getattr(importlib.import_module(file.stem), "FAMILIES", {})
    return families


def main() -> None:
    deterministic()
    families = discover()
    names = sys.argv[1:] or list(families)
    unknown = [name for name in names if name not in families]
    if unknown:
        raise SystemExit(f"unknown families {unknown}; known: {', '.join(families)}")
    for name in names:
        families[name]()


if __name__ == "__main__":
    main()
