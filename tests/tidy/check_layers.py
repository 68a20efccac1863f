#!/usr/bin/env python3
"""Include direction: every #include of src/ against layers.txt, no cycle between files, OS and SIMD headers in their places."""

import collections
import fnmatch
import pathlib
import re

import tidy

INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')


class Table:
    """layers.txt, parsed; mistakes in the table itself are problems."""

    def __init__(self, text):
        self.levels, self.edges = {}, {}
        self.os, self.allow, self.external, self.simd = [], collections.defaultdict(set), {}, []
        self.wings = set()
        self.problems = []
        for line in text.splitlines():
            line = line.split("#", 1)[0].strip()
            if line:
                self._line(line)
        for floor, allowed in self.edges.items():
            for name in allowed:
                below = self.levels.get(name.split("/")[0])
                if below is None or below >= self.levels[floor]:
                    self.problems.append(f"layers.txt: {floor} may not include {name}, which is not on a lower level")

    def _line(self, line):
        kind, rest = line.split(None, 1)
        head, _, tail = rest.partition(":")
        if kind.isdigit():
            self.levels[head], self.edges[head] = int(kind), tail.split()
        elif kind == "wings":
            self.wings |= set(rest.split())
        elif kind == "os":
            self.os += rest.split()
        elif kind == "allow":
            self.allow[head] |= set(tail.split())
        elif kind == "external":
            self.external[head] = tail.split()
        elif kind == "simd":
            self.simd.append((head.split(), tail.split()))
        else:
            self.problems.append(f"layers.txt: cannot read '{line}'")


def matches(name, patterns):
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def wing(file):
    """The folder of a floor that a file lies in, or None: "bench" for app/bench/plan.h."""
    parts = file.split("/")
    return parts[1] if len(parts) > 2 else None


def quoted_problem(table, file, target, root):
    """Why `file` (relative to src/) may not include "target", or None."""
    floor, below = file.split("/")[0], target.split("/")[0]
    is_test = file.endswith("_test.cc")
    if target in table.external:
        return None if floor in table.external[target] else f"only {', '.join(table.external[target])} may include it"
    if below not in table.levels:
        if is_test and (root / "tests" / target).exists():
            return None
        return "it is not a file of a known floor; write \"floor/file.h\""
    if not (root / "src" / target).exists():
        return "there is no such file under src/"
    if below == floor and floor in table.wings and wing(file) and wing(target) not in (None, wing(file)):
        return f"the wings {wing(file)} and {wing(target)} of {floor} do not know each other"
    if below == floor or below in table.edges[floor] or target in table.edges[floor]:
        return None
    if table.levels[below] == table.levels[floor]:
        return f"{floor} and {below} are on one level"
    return f"{floor} may not include {below}"


def system_problem(table, file, target):
    """Why `file` may not include <target>, or None."""
    for headers, places in table.simd:
        if matches(target, headers) and not matches(file, places):
            return f"it belongs to {' '.join(places)}"
    if not matches(target, table.os) or file.startswith("platform/") or file.endswith("_test.cc"):
        return None
    return None if target in table.allow[file] else "direct OS and thread headers belong to src/platform/"


def cycle(graph):
    """A list of files that include each other in a ring, or None."""
    state, stack = {}, []

    def visit(node):
        state[node] = "open"
        stack.append(node)
        for target in graph.get(node, ()):
            if state.get(target) == "open":
                return stack[stack.index(target):] + [target]
            if target not in state and (ring := visit(target)):
                return ring
        stack.pop()
        state[node] = "done"
        return None

    for node in list(graph):
        if node not in state and (ring := visit(node)):
            return ring
    return None


def check(root, build=None):
    root = pathlib.Path(root)
    table = Table((root / "tests/tidy/layers.txt").read_text())
    problems, graph = list(table.problems), collections.defaultdict(list)
    for path in tidy.cxx_files(root, "src"):
        file = path.relative_to(root / "src").as_posix()
        if file.split("/")[0] not in table.levels:
            problems.append(f"src/{file}: its folder is not in tests/tidy/layers.txt")
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            include = INCLUDE.match(line)
            if not include:
                continue
            quote, target = include.groups()
            if quote == '"':
                graph[file].append(target)
                problem = quoted_problem(table, file, target, root)
            else:
                problem = system_problem(table, file, target)
            if problem:
                problems.append(f"src/{file}:{number}: includes {target}: {problem}")
    ring = cycle(graph)
    if ring:
        problems.append("include cycle: " + " -> ".join(ring))
    return problems


if __name__ == "__main__":
    tidy.main(check, __doc__)
