#!/usr/bin/env python3
"""Hardening, read from the program and the objects of the Release tree (cmake/floors.cmake sets the flags).

1. build/folio is position-independent, binds every symbol at start and makes its tables read-only, and has no executable stack.
2. It calls the stack protector, checked library calls and the assertions of the standard library's containers.
3. Every floor that reads what others wrote has objects with a stack protector.
4. The kernels of instruction sets have none of it: no call in a hot loop, and nothing of the standard library.
"""

import pathlib
import re
import subprocess

import tidy

READS_FROM_OUTSIDE = ("weights", "text", "hub", "api", "server", "app", "platform")
ASSERTION, PROTECTOR = "_ZSt21__glibcxx_assert_failPKciS0_S0_", "__stack_chk_fail"
CHECKED_CALL = re.compile(r"^__\w+_chk$")


def run(*command):
    return subprocess.run(command, text=True, capture_output=True, check=True).stdout


def wanted_symbols(path, *flags):
    """Names that the file takes from elsewhere, without their versions."""
    lines = run("nm", *flags, "--undefined-only", path).splitlines()
    return {line.split()[-1].split("@")[0] for line in lines if line.strip()}


def segment_problems(text):
    """`text`: what readelf -hldW prints of the program."""
    if not re.search(r"Type:\s+DYN", text) or not re.search(r"FLAGS_1.*\bPIE\b", text):
        yield "is not position-independent (-fPIE, -pie)"
    if "GNU_RELRO" not in text:
        yield "has no read-only relocations (-z relro)"
    if not re.search(r"\(FLAGS(_1)?\).*\b(BIND_)?NOW\b", text):
        yield "binds symbols lazily (-z now)"
    stack = re.search(r"GNU_STACK(?:\s+0x[0-9a-f]+){5}\s+(.*?)\s+0x", text)
    if not stack or "E" in stack.group(1):
        yield "has an executable stack"


def symbol_problems(symbols):
    if PROTECTOR not in symbols:
        yield "has no stack protector (-fstack-protector-strong)"
    if not any(CHECKED_CALL.match(name) and name != PROTECTOR for name in symbols):
        yield "has no checked library calls (-D_FORTIFY_SOURCE=3)"
    if ASSERTION not in symbols:
        yield "has no assertions of the standard library (-D_GLIBCXX_ASSERTIONS)"


def object_problems(build):
    for floor in READS_FROM_OUTSIDE:
        objects = list((build / "CMakeFiles" / f"folio_{floor}.dir").rglob("*.o"))
        if not any(PROTECTOR in wanted_symbols(path) for path in objects):
            yield f"{floor}: none of its {len(objects)} objects has a stack protector"
    kernels = [path for path in (build / "CMakeFiles" / "folio_kernels.dir").rglob("x86_*.o")]
    if not kernels:
        yield f"{build}: no objects of instruction sets; is the Release tree built?"
    for path in kernels:
        for name in sorted(wanted_symbols(path)):
            if name in (PROTECTOR, ASSERTION) or CHECKED_CALL.match(name):
                yield f"{path.name}: calls {name}; kernels of instruction sets are compiled without"


def check(root, build):
    build = pathlib.Path(build)
    program = build / "folio"
    if not program.exists():
        return [f"{program}: is missing; is the Release tree built?"]
    problems = list(segment_problems(run("readelf", "-hldW", program)))
    problems += symbol_problems(wanted_symbols(program, "-D"))
    return [f"{program}: {problem}" for problem in problems] + list(object_problems(build))


if __name__ == "__main__":
    tidy.main(check, __doc__)
