#!/usr/bin/env python3
"""Starts one test program for ctest: forces an instruction set, finds its data, sets up the sanitizers.

usage: run_test.py [options] -- PROGRAM [ARGUMENTS]

Exit status: the program's; 77 (ctest: skipped) after a line "NOT RUN: why" when this machine or clone cannot run it.
Data are looked for in $FOLIO_SHARED. Unset: not run. Set: what is missing there is a failure.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys

SKIPPED = 77

# The CPU flags (as Linux spells them, so the OS has enabled them) that each FOLIO_ISA needs.
ISA_FLAGS = {
    "reference": [],
    "avx2": ["avx2", "fma", "f16c"],
    "avx512": ["avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni"],
    "amx": ["avx512_vnni", "amx_tile", "amx_int8"],
}


class NotRun(Exception):
    pass


def fail(message):
    print(f"run_test.py: {message}", flush=True)
    sys.exit(1)


def cpu_flags():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("flags"):
            return set(line.split(":", 1)[1].split())
    return set()


def require_isa(isa):
    lacking = [flag for flag in ISA_FLAGS[isa] if flag not in cpu_flags()]
    if lacking:
        raise NotRun(f"FOLIO_ISA={isa}: this CPU lacks {' '.join(lacking)}")


def data_folders(name, excluded):
    shared = os.environ.get("FOLIO_SHARED")
    if not shared:
        raise NotRun(f"{name}: FOLIO_SHARED is not set")
    folder = pathlib.Path(shared) / name
    if not folder.exists():
        fail(f"FOLIO_SHARED is set and {folder} is missing")
    if not excluded:
        return [str(folder)]
    return sorted(str(path) for path in folder.iterdir() if path.is_dir() and path.name not in excluded)


def require_model():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    home = os.environ.get("FOLIO_HOME") or os.path.join(cache, "folio")
    path = os.environ.get("FOLIO_TEST_MODEL") or os.path.join(home, "models", "SmolLM2-135M-Instruct.Q4_1.gguf")
    if os.path.exists(path):
        os.environ["FOLIO_TEST_MODEL"] = path
    elif os.environ.get("FOLIO_SHARED"):
        fail(f"the default model is missing: {path}; './dev setup run' fetches it")
    else:
        raise NotRun("the default model was not fetched")


def without_address_randomisation(command):
    """ThreadSanitizer of GCC 12 cannot map its shadow where the kernel randomises 32 bits."""
    setarch = shutil.which("setarch")
    if setarch and subprocess.run([setarch, "-R", "true"], capture_output=True).returncode == 0:
        return [setarch, "-R", *command]
    return command


def fuzz_arguments(program, seconds):
    name = program.stem.removesuffix("_fuzz")
    corpus, crashes = (program.parent / kind / name for kind in ("corpus", "crash"))
    seeds = pathlib.Path(__file__).resolve().parent / "fuzz" / "corpus" / name
    for folder in (corpus, crashes):
        folder.mkdir(parents=True, exist_ok=True)
    # Inputs that failed before are tried first again; new ones are added to the first folder only.
    folders = [corpus, crashes] + ([seeds] if seeds.is_dir() else [])
    return [f"-max_total_time={seconds}", "-rss_limit_mb=1024", "-malloc_limit_mb=512", "-timeout=10",
            "-max_len=65536", "-print_final_stats=1", f"-artifact_prefix={crashes}/", *map(str, folders)]


def run(command):
    """Runs and shows the output; a gtest program that selects no test fails, and so does a fuzzer without a run."""
    nothing = re.compile(r"^\[=+\] (Running )?0 tests|^stat::number_of_executed_units: 0$")
    did_nothing = False
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    for raw in process.stdout:
        line = raw.decode(errors="replace")
        did_nothing = did_nothing or bool(nothing.match(line))
        sys.stdout.write(line)
        sys.stdout.flush()
    status = process.wait()
    if status < 0:
        fail(f"{command[0]} was ended by signal {-status}")
    if status == 0 and did_nothing:
        fail("not a single test was run; does the filter still match?")
    return status


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--isa", choices=ISA_FLAGS, help="run under FOLIO_ISA=...")
    parser.add_argument("--data", help="folder or file below $FOLIO_SHARED, passed to the program")
    parser.add_argument("--except", dest="excluded", action="append", default=[], help="pass the others below --data")
    parser.add_argument("--model", action="store_true", help="needs the default model, named in FOLIO_TEST_MODEL")
    parser.add_argument("--cases", type=int, help="random cases of each RapidCheck property")
    parser.add_argument("--filter", help="--gtest_filter of the program")
    parser.add_argument("--fuzz-seconds", type=int, help="the program is a libFuzzer target")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()

    program = pathlib.Path(options.command[0]).resolve()
    if not program.exists():
        fail(f"{program} is not built; './dev test' builds it")
    arguments = options.command[1:]
    try:
        if options.isa:
            require_isa(options.isa)
            os.environ["FOLIO_ISA"] = options.isa
        if options.data:
            arguments += data_folders(options.data, options.excluded)
        if options.model:
            require_model()
    except NotRun as reason:
        print(f"NOT RUN: {reason}")
        return SKIPPED
    if options.cases:
        os.environ.setdefault("RC_PARAMS", f"max_success={options.cases}")
    if options.filter:
        arguments.append(f"--gtest_filter={options.filter}")
    if options.fuzz_seconds:
        arguments += fuzz_arguments(program, options.fuzz_seconds)
    os.environ.setdefault("ASAN_OPTIONS", "detect_stack_use_after_return=1:strict_string_checks=1")
    os.environ.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    suppressions = pathlib.Path(__file__).resolve().parent / "tsan_suppressions.txt"
    os.environ.setdefault("TSAN_OPTIONS", f"halt_on_error=1:suppressions={suppressions}")
    command = [str(program), *arguments]
    if any(pathlib.Path(word).parent.name == "build-tsan" for word in command):
        command = without_address_randomisation(command)
    return run(command)


if __name__ == "__main__":
    sys.exit(main())
