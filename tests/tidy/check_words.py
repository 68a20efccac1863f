#!/usr/bin/env python3
"""No reminder left in a source, and no path of somebody's machine in any text file."""

import pathlib
import re

import tidy

# Written in pieces, so that this file passes too.
REMINDER = re.compile(r"\b(" + "|".join(("TO" "DO", "FIX" "ME", "X" "XX", "HA" "CK")) + r")\b")
MACHINE_PATH = re.compile(r"(?<![\w.$}/-])/(?:" + "|".join(("wo" "rk", "ro" "ot", "ho" r"me/\w+", "Us" r"ers/\w+")) + r")\b")
# Data and licences of others.
SKIPPED_PARTS = {"fixtures", "corpus"}
SKIPPED_NAMES = {"LICENSE", "Cargo.lock"}


def check(root, build=None):
    root, problems = pathlib.Path(root), []
    for path in tidy.our_files(root):
        if path.name in SKIPPED_NAMES or SKIPPED_PARTS & set(path.relative_to(root).parts):
            continue
        content = path.read_bytes()
        if b"\0" in content:
            continue
        for number, line in enumerate(content.decode(errors="replace").splitlines(), 1):
            where = f"{path.relative_to(root)}:{number}"
            if found := REMINDER.search(line):
                problems.append(f"{where}: '{found.group()}' is left; do it or drop it")
            if found := MACHINE_PATH.search(line):
                problems.append(f"{where}: '{found.group()}' is a path of one machine")
    return problems


if __name__ == "__main__":
    tidy.main(check, __doc__)
