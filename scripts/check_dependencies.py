#!/usr/bin/env python3
"""Reads deny.toml as cargo-deny does, as far as this project uses it: every dependency's licence is
allowed, no banned crate is in the tree, and everything comes from the registry or this workspace."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def allowed(expression, allow):
    """Whether an SPDX expression can be met with the allowed licences alone. `/` is an old `OR`."""
    tokens = re.findall(r"[()]|\b(?:OR|AND)\b|[\w.+-]+(?: WITH [\w.-]+)?", expression.replace("/", " OR "))
    position = 0

    def either():
        nonlocal position
        met = both()
        while position < len(tokens) and tokens[position] == "OR":
            position += 1
            met = both() or met
        return met

    def both():
        nonlocal position
        met = one()
        while position < len(tokens) and tokens[position] == "AND":
            position += 1
            met = one() and met
        return met

    def one():
        nonlocal position
        token = tokens[position]
        position += 1
        if token != "(":
            return token in allow
        met = either()
        position += 1
        return met

    return either()


def licence_of(package):
    """The licence's expression, or what its file shows itself to be."""
    if package["license"]:
        return package["license"]
    if package["license_file"]:
        text = (Path(package["manifest_path"]).parent / package["license_file"]).read_text(errors="replace")
        if "Permission is hereby granted, free of charge" in text:
            return "MIT"
        if "DO WHAT THE FUCK YOU WANT TO PUBLIC LICENSE" in text:
            return "WTFPL"
    return "none stated"


def main():
    rules = tomllib.loads((ROOT / "deny.toml").read_text())
    allow = set(rules["licenses"]["allow"])
    banned = {ban["crate"] for ban in rules["bans"]["deny"]}
    wrong, seen = [], set()
    for target in rules["graph"]["targets"]:
        command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
        metadata = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
        members = set(metadata["workspace_members"])
        used = {node["id"] for node in metadata["resolve"]["nodes"]}
        for package in metadata["packages"]:
            if package["id"] in members or package["id"] not in used or package["id"] in seen:
                continue
            seen.add(package["id"])
            name = f"{package['name']} {package['version']}"
            licence = licence_of(package)
            if not allowed(licence, allow):
                wrong.append(f"{name}: its licence is {licence}")
            if package["name"] in banned:
                wrong.append(f"{name}: it is banned")
            if not (package["source"] or "").startswith("registry+"):
                wrong.append(f"{name}: it comes from {package['source'] or 'a path outside the workspace'}")
    for line in wrong:
        print(f"deny: {line}", file=sys.stderr)
    print(f"deny: {len(seen)} dependencies looked at, {len(wrong)} refused")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
