#!/usr/bin/env python3
"""The licence, ban and source rules of deny.toml, checked against `cargo metadata` on standard input."""

import json
import re
import sys
import tomllib


def licence_ok(expression, allowed):
    """An SPDX expression is fine when one side of each OR, and both of each AND, are allowed."""
    text = re.sub(r"\s+WITH\s+", "_WITH_", expression.replace("/", " OR "))
    tokens = re.findall(r"\(|\)|[^\s()]+", text)
    names = {t for t in tokens if t not in ("(", ")", "AND", "OR")}
    values = {n: n.replace("_WITH_", " WITH ") in allowed for n in names}
    words = {"AND": "and", "OR": "or", "(": "(", ")": ")"}
    return eval(" ".join(words.get(t, str(values.get(t))) for t in tokens), {"__builtins__": {}})


def main():
    with open(sys.argv[1], "rb") as file:
        rules = tomllib.load(file)
    allowed = set(rules["licenses"]["allow"])
    exceptions = {e["crate"]: set(e["allow"]) for e in rules["licenses"].get("exceptions", [])}
    banned = {b["crate"] for b in rules["bans"]["deny"]}
    errors = []
    for package in json.load(sys.stdin)["packages"]:
        name, source = package["name"], package["source"]
        if source is not None and source != "registry+https://github.com/rust-lang/crates.io-index":
            errors.append(f"{name}: comes from {source}")
        if name in banned:
            errors.append(f"{name}: banned")
        if source and not licence_ok(package["license"] or "none", allowed | exceptions.get(name, set())):
            errors.append(f"{name}: licence {package['license']} is not allowed")
    print("\n".join(errors) or "licences, bans and sources are in order")
    return bool(errors)


if __name__ == "__main__":
    sys.exit(main())
