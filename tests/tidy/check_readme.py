#!/usr/bin/env python3
"""The commands in the ```sh blocks of README.md and docs/ exist: verbs, subcommands and long options, as --help prints them."""

import pathlib
import re
import shlex
import subprocess

import tidy

BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
OPTION = re.compile(r"(?<![\w-])--?[a-zA-Z][\w-]*")


def commands(text):
    """Yields (line number, words) of every ./dev and folio command in the sh blocks, pipes split."""
    for block in BLOCK.finditer(text):
        first = text.count("\n", 0, block.start(1)) + 1
        joined = block.group(1).replace("\\\n", "  ")
        for offset, line in enumerate(joined.splitlines()):
            for part in re.split(r"\|\|?|&&|;", line.split(" #")[0]):
                try:
                    words = shlex.split(part, comments=True)
                except ValueError:
                    continue
                while words and re.match(r"^\w+=", words[0]):
                    words.pop(0)
                if words and words[0] in ("./dev", "folio", "build/folio", "./build/folio"):
                    yield first + offset, words


class Programs:
    """Answers what --help prints, each asked once."""

    def __init__(self, root, build):
        self.paths = {"./dev": root / "dev"}
        self.paths.update({name: build / "folio" for name in ("folio", "build/folio", "./build/folio")})
        self.known = {}

    def help(self, program, *verb):
        key = (self.paths[program], *verb)
        if key not in self.known:
            process = subprocess.run([*map(str, key), "--help"], text=True, capture_output=True, stdin=subprocess.DEVNULL)
            self.known[key] = process.stdout if process.returncode == 0 else None
        return self.known[key]


def command_problem(programs, words):
    program, arguments = words[0], words[1:]
    verb = arguments[:1] if arguments and not arguments[0].startswith("-") else []
    text = programs.help(program, *verb)
    if text is None:
        return f"'{' '.join([program, *verb])} --help' fails"
    if verb and not re.search(rf"^\s+{re.escape(verb[0])}\b", programs.help(program) or "", re.MULTILINE):
        return f"'{program} --help' does not list {verb[0]}"
    if program == "./dev" and verb in (["run"], ["bench"]):  # they pass their options on
        text += programs.help("folio", *verb) or ""
    listed = set(OPTION.findall(text))
    for word in arguments:
        option = word.split("=")[0]
        if OPTION.fullmatch(option) and option not in listed and option not in ("--help", "-h"):
            return f"{option} is not in '{' '.join([program, *verb])} --help'"
    return None


def check(root, build):
    root, build = pathlib.Path(root), pathlib.Path(build)
    if not (root / "README.md").exists():
        return ["README.md is missing"]
    programs, problems, count = Programs(root, build), [], 0
    for path in [root / "README.md", *sorted((root / "docs").glob("*.md"))]:
        for number, words in commands(path.read_text()):
            count += 1
            problem = command_problem(programs, words)
            if problem:
                problems.append(f"{path.relative_to(root)}:{number}: {problem}")
    print(f"{count} commands")
    return problems if count else ["README.md: no ./dev or folio command in a ```sh block"]


if __name__ == "__main__":
    tidy.main(check, __doc__)
