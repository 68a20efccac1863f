#!/usr/bin/env python3
"""ISA seals, read from the objects of the Release tree.

1. An object of src/kernels/**/x86_*.cc defines no weak symbol (an inline function or template that the linker could
   keep for generic code too) and exports nothing but names of folio::kernels.
2. No other object of src/ holds an AVX instruction: the program starts on any x86-64-v2 machine.
"""

import concurrent.futures
import os
import pathlib
import re
import subprocess

import tidy

# VEX and EVEX mnemonics begin with v; these do too and are not vector instructions.
NOT_VECTOR = {"verr", "verw", "vmcall", "vmclear", "vmfunc", "vmlaunch", "vmptrld", "vmptrst", "vmread", "vmresume",
              "vmwrite", "vmxoff", "vmxon", "vmrun", "vmload", "vmsave", "vmmcall"}
INSTRUCTION = re.compile(r"^\s*[0-9a-f]+:\t(?:\{\w+\} )?(v[a-z0-9]+|t(?:dp|ile)[a-z0-9]+)\b(.*)")
FUNCTION = re.compile(r"^[0-9a-f]+ <(.*)>:")
WEAK = set("WwVvu")


def objects(build):
    """(object, is it an ISA file) for every C++ object of src/ in the tree, tests left out."""
    for path in sorted(pathlib.Path(build).glob("CMakeFiles/folio*.dir/src/**/*.o")):
        if not path.name.endswith("_test.cc.o"):
            yield path, path.name.startswith("x86_")


def symbol_problems(path):
    listing = subprocess.run(["nm", "-C", "--defined-only", path], text=True, capture_output=True, check=True).stdout
    for line in listing.splitlines():
        fields = re.match(r"^[0-9a-f]*\s*(\S) (.*)", line)
        if not fields:
            continue
        kind, name = fields.groups()
        if kind in WEAK:
            yield f"{path.name}: {path}: weak symbol {name}: the linker may keep this copy for generic code"
        elif kind.isupper() and not name.startswith("folio::kernels::") and "folio::kernels" not in name:
            yield f"{path.name}: {path}: exports {name}, which is not a kernel"


def instruction_problems(path):
    listing = subprocess.run(["objdump", "-dC", "--no-show-raw-insn", path], text=True, capture_output=True, check=True).stdout
    function, reported = "?", set()
    for line in listing.splitlines():
        if named := FUNCTION.match(line):
            function = named.group(1)
            continue
        found = INSTRUCTION.match(line)
        if found and found.group(1) not in NOT_VECTOR and function not in reported:
            reported.add(function)
            yield f"{path.name}: {path}: {function} uses {found.group(1)}, beyond x86-64-v2"


def problems_of(item):
    path, is_isa_file = item
    return list(symbol_problems(path) if is_isa_file else instruction_problems(path))


def check(root, build):
    items = list(objects(build))
    if not any(is_isa_file for _, is_isa_file in items) or all(is_isa_file for _, is_isa_file in items):
        return [f"{build}: found {len(items)} objects, not both x86_*.cc and generic ones; is the Release tree built?"]
    print(f"{len(items)} objects, {sum(is_isa_file for _, is_isa_file in items)} of ISA files")
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return [problem for found in pool.map(problems_of, items) for problem in found]


if __name__ == "__main__":
    tidy.main(check, __doc__)
