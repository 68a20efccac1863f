"""What the checkers of tests/tidy/ share: the command line, the files of the repository, the verdict.

A checker is a function check(root, build) -> list of problems, one sentence each, naming file and line.
"""

import argparse
import os
import pathlib
import sys

NOT_OURS = {".git", "__pycache__", ".venv", "target", "node_modules"}


def our_files(root):
    """Every file of the repository, sorted, without build trees."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in NOT_OURS and not is_build_tree(root, folder, name))
        for name in sorted(files):
            yield pathlib.Path(folder) / name


def is_build_tree(root, folder, name):
    return pathlib.Path(folder) == pathlib.Path(root) and (name == "build" or name.startswith("build-"))


def cxx_files(root, *folders, suffixes=(".h", ".cc", ".inc")):
    for folder in folders:
        for path in our_files(pathlib.Path(root) / folder):
            if path.suffix in suffixes:
                yield path


def main(check, doc):
    """Runs a checker as a program: exit status 1 when it has problems."""
    parser = argparse.ArgumentParser(description=doc)
    here = pathlib.Path(__file__).resolve().parents[2]
    parser.add_argument("--root", type=pathlib.Path, default=here, help="the repository")
    parser.add_argument("--build", type=pathlib.Path, default=here / "build", help="the Release tree")
    options = parser.parse_args()
    problems = check(options.root, options.build)
    for problem in problems:
        print(problem)
    print(f"{len(problems)} problem{'s' * (len(problems) != 1)}")
    sys.exit(1 if problems else 0)
