#!/usr/bin/env python3
"""Every header compiles alone, with the flags of the Release tree. What passed is remembered in the build tree by content."""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess

import tidy

INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)
SIMD_FLAGS = {
    "avx2": ["-mavx2", "-mfma", "-mf16c"],
    "avx512": ["-mavx2", "-mfma", "-mf16c", "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vnni"],
}


def base_command(build):
    """The compiler and its flags, from a generic file of the compilation database."""
    commands = json.loads((build / "compile_commands.json").read_text())
    ours = [entry for entry in commands if "/src/" in entry["file"] and "/x86_" not in entry["file"]]
    words = shlex.split(max(ours, key=lambda entry: entry["command"].count(" -I") + entry["command"].count(" -isystem"))["command"])
    words = [word for word in words if not word.endswith(("ccache", ".o", ".cc")) and word not in ("-o", "-c")]
    includes = sorted({word for entry in ours for word in shlex.split(entry["command"]) if word.startswith("-I")})
    return words + includes


def variants(header):
    """The ways to compile a header: (flags, header that stands before it).

    A header that x86_*.cc files share is written in the vocabulary of kernels/simd/ISA.h and compiled after each.
    """
    if "kernels" not in header.parts or not ("simd" in header.parts or header.name.startswith("x86_")):
        return [([], None)]
    if header.stem in SIMD_FLAGS:
        return [(SIMD_FLAGS[header.stem], None)]
    return [(flags, f"kernels/simd/{isa}.h") for isa, flags in SIMD_FLAGS.items()]


def closure(root, header):
    """The header and all our files it includes, directly or not."""
    seen, waiting = set(), [header]
    while waiting:
        path = waiting.pop()
        if path in seen or not path.exists():
            continue
        seen.add(path)
        for name in INCLUDE.findall(path.read_text()):
            waiting += [root / "src" / name, root / "rust" / name, root / "tests" / name]
    return sorted(seen)


def digest(root, header, command):
    content = hashlib.sha256("\0".join([*command, str(variants(header))]).encode())
    before = [root / "src" / first for _, first in variants(header) if first]
    for path in [path for start in [header, *before] for path in closure(root, start)]:
        content.update(path.as_posix().encode() + b"\0" + path.read_bytes())
    return content.hexdigest()


def compile_alone(root, header, command):
    """The compiler's complaint, or None. Included twice: the second time must add nothing."""
    for flags, before in variants(header):
        source = (f'#include "{before}"\n' if before else "") + f'#include "{header}"\n' * 2
        process = subprocess.run([*command, *flags, "-fsyntax-only", "-Werror", "-x", "c++", "-"], input=source, text=True,
                                 capture_output=True, cwd=root)
        if process.returncode != 0:
            lines = [line for line in process.stderr.splitlines() if "error" in line] or process.stderr.splitlines()
            return f"{header.relative_to(root)}: does not compile alone: {lines[0] if lines else 'no message'}"
    return None


def check(root, build):
    root, build = pathlib.Path(root).resolve(), pathlib.Path(build)
    command = base_command(build)
    version = subprocess.run([command[0], "--version"], text=True, capture_output=True).stdout
    cache = build / "headers-that-compile.json"
    passed = set(json.loads(cache.read_text())) if cache.exists() else set()
    keys = {header: digest(root, header, [version, *command])
            for header in tidy.cxx_files(root, "src", suffixes=(".h",))}
    todo = [header for header, key in keys.items() if key not in passed]
    print(f"{len(keys)} headers, {len(todo)} of them new or changed")
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        complaints = dict(zip(todo, pool.map(lambda header: compile_alone(root, header, command), todo)))
    cache.write_text(json.dumps(sorted(key for header, key in keys.items() if not complaints.get(header))))
    return [complaint for complaint in complaints.values() if complaint]


if __name__ == "__main__":
    tidy.main(check, __doc__)
