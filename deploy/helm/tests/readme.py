#!/usr/bin/env python3
"""Makes the table of values in the chart's README.md from the comments of values.yaml.

    deploy/helm/tests/readme.py --write     # without --write: exits with 1 where the table is not that of values.yaml
"""

from __future__ import annotations

import json
import pathlib
import re
import sys

import yaml

CHART = pathlib.Path(__file__).resolve().parent.parent / "davy"
BEGIN, END = "<!-- Begin of the values -->", "<!-- End of the values -->"


def described(text: str) -> dict[str, str]:
    """The path of each value with a comment `# -- …` above it."""
    found: dict[str, str] = {}
    parents: list[tuple[int, str]] = []
    comment = ""
    for line in text.splitlines():
        if match := re.fullmatch(r" *# -- (.*)", line):
            comment = match[1]
        elif match := re.match(r"( *)([A-Za-z]+):", line):
            depth, name = len(match[1]), match[2]
            parents = [(at, parent) for at, parent in parents if at < depth] + [(depth, name)]
            if comment:
                found[".".join(parent for _, parent in parents)] = comment
            comment = ""
    return found


def table(text: str) -> str:
    values = yaml.safe_load(text)
    rows = ["| value | default | meaning |", "|---|---|---|"]
    for path, meaning in described(text).items():
        value = values
        for part in path.split("."):
            value = value[part]
        rows.append(f"| `{path}` | `{json.dumps(value)}` | {meaning} |")
    return "\n".join(rows)


def with_table(readme: str, values: str) -> str:
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table(values)}\n{END}{after}"


def main() -> int:
    readme = CHART / "README.md"
    wanted = with_table(readme.read_text(), (CHART / "values.yaml").read_text())
    if "--write" in sys.argv[1:]:
        readme.write_text(wanted)
        return 0
    return int(readme.read_text() != wanted)


if __name__ == "__main__":
    sys.exit(main())
