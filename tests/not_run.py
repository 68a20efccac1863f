#!/usr/bin/env python3
"""Reads ctest's LastTest.log and names what was not run here: one line per reason, with the tests it concerns.

A reason is a line "NOT RUN: why" (tests/run_test.py, or a program's own), or the message of a GTEST_SKIP().
"""

import pathlib
import re
import sys


def reasons(log):
    """Yields (reason, test name) in order."""
    name, after_skip = "", False
    for line in log.splitlines():
        start = re.match(r"\d+/\d+ Testing: (\S+)", line)
        if start:
            name, after_skip = start.group(1), False
        elif line.startswith("NOT RUN: "):
            after_skip = False
            yield line[len("NOT RUN: "):].strip(), name
        elif re.search(r":\d+: Skipped$", line):
            after_skip = True
        elif after_skip:
            after_skip = False
            yield line.strip() or "skipped without a reason", name


def report(log):
    tests_of = {}
    for reason, name in reasons(log):
        tests = tests_of.setdefault(reason, [])
        if name not in tests:
            tests.append(name)
    if not tests_of:
        return ["No test of this run was skipped."]
    return ["Not run here:"] + [f"  NOT RUN: {reason} [{', '.join(tests)}]" for reason, tests in tests_of.items()]


if __name__ == "__main__":
    path = pathlib.Path(sys.argv[1])
    if path.exists():
        print("\n".join(report(path.read_text(errors="replace"))))
