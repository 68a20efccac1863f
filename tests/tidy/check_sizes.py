#!/usr/bin/env python3
"""Files and functions that can be read: at most 10 % of the files over 450 lines, none over 700, no function over 100.

Tables of data (*_tables.cc, *_tables.h) are not counted. Functions are found by the layout that clang-format gives them:
a body opens at the end of a line that starts in column 0 or 2 and closes with a brace in the same column.
"""

import pathlib
import re
import statistics

import tidy

LONG_FILE, LONG_SHARE, FILE_LIMIT = 450, 0.10, 700
LONG_FUNCTION, FUNCTION_LIMIT = 70, 100
NO_FUNCTION = re.compile(r"^\s*(namespace|class|struct|enum|union|extern|public|private|protected|using|typedef|#|//|\}|\))")


def functions(text):
    """Yields (first line number, lines) of every function of a formatted file."""
    start, column = None, ""
    head = None  # first line of a declaration whose brace may come lines later
    for number, line in enumerate(text.splitlines(), 1):
        indent = line[:len(line) - len(line.lstrip())]
        if start is None:
            if NO_FUNCTION.match(line):
                head = None
                continue
            if len(indent) in (0, 2) and line.strip():
                if head is None or len(indent) <= len(head[1]):
                    head = (number, indent)
            if head and re.search(r"[)\w&>]\s*(const|noexcept|override|try|\s)*\{$", line) and "=" not in line.split("(")[0]:
                start, column = head
            if line.rstrip().endswith((";", "}")):
                head = None
        elif line.startswith(column + "}"):
            yield start, number - start + 1
            start = head = None


def check(root, build=None):
    root = pathlib.Path(root)
    problems, counts, long_functions = [], {}, []
    for path in tidy.cxx_files(root, "src", "tests", "bench", suffixes=(".h", ".cc")):
        if path.stem.endswith("_tables") or "fixtures" in path.parts:
            continue
        name, text = path.relative_to(root).as_posix(), path.read_text()
        counts[name] = text.count("\n")
        long_functions += [(lines, f"{name}:{start}") for start, lines in functions(text)]
    if not counts:
        return [f"{root}: no C++ file found"]
    long_files = [name for name, lines in counts.items() if lines > LONG_FILE]
    print(f"{len(counts)} files: median {statistics.median(counts.values()):.0f} lines, {len(long_files)} over {LONG_FILE}, "
          f"longest {max(counts.values())} ({max(counts, key=counts.get)})")
    print(f"{len(long_functions)} functions: median {statistics.median([f[0] for f in long_functions] or [0]):.0f} lines")
    for lines, where in sorted(long_functions, reverse=True):
        if lines > FUNCTION_LIMIT:
            problems.append(f"{where}: a function of {lines} lines; the limit is {FUNCTION_LIMIT}")
        elif lines > LONG_FUNCTION:
            print(f"note: {where}: a function of {lines} lines, more than a screen")
    if len(long_files) > LONG_SHARE * len(counts):
        problems.append(f"{len(long_files)} of {len(counts)} files have over {LONG_FILE} lines: {', '.join(long_files)}")
    problems += [f"{name}: {lines} lines; the limit is {FILE_LIMIT}" for name, lines in counts.items() if lines > FILE_LIMIT]
    return problems


if __name__ == "__main__":
    tidy.main(check, __doc__)
