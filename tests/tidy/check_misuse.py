#!/usr/bin/env python3
"""What types promise to refuse does not compile: the parts of tests/misuse/*.cc that are marked WRONG."""

import pathlib
import re
import subprocess

import tidy
from check_headers import base_command

PART = re.compile(r"^// (RIGHT|WRONG): (.*)$", re.MULTILINE)


def parts(text):
    """The beginning that all parts share, and (mark, what it says, line, code) of each."""
    marks = list(PART.finditer(text))
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    start = text[:marks[0].start()] if marks else text
    return start, [(mark[1], mark[2], text.count("\n", 0, mark.start()) + 1, text[mark.end():end])
                   for mark, end in zip(marks, ends)]


def compiles(code, command, root):
    process = subprocess.run([*command, "-fsyntax-only", "-x", "c++", "-"], input=code, text=True, capture_output=True, cwd=root)
    return process.returncode == 0


def check(root, build):
    root, build = pathlib.Path(root).resolve(), pathlib.Path(build)
    command, problems, tried = base_command(build), [], 0
    for path in tidy.cxx_files(root, "tests/misuse", suffixes=(".cc",)):
        start, cases = parts(path.read_text())
        name = path.relative_to(root).as_posix()
        if {mark for mark, *_ in cases} != {"RIGHT", "WRONG"}:
            problems.append(f"{name}: needs a part marked RIGHT and one marked WRONG, or it shows nothing")
        for mark, says, line, code in cases:
            tried += 1
            if compiles(start + code, command, root) != (mark == "RIGHT"):
                problems.append(f"{name}:{line}: '{says}' {'does not compile' if mark == 'RIGHT' else 'compiles'}")
    print(f"{tried} parts compiled")
    return problems if tried else [f"{root}/tests/misuse: no part found"]


if __name__ == "__main__":
    tidy.main(check, __doc__)
