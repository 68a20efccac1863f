#!/usr/bin/env python3
"""Plants a violation for every checker in a small repository of its own, and expects it to be found (and nothing else)."""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import check_hardening
import check_headers
import check_layers
import check_misuse
import check_readme
import check_seals
import check_sizes
import check_words
import not_run
import run_test


class Repository(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.build = self.root / "build"
        self.build.mkdir()
        self.write("tests/tidy/layers.txt", (HERE / "layers.txt").read_text())

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def assert_one(self, problems, *words):
        self.assertEqual(len(problems), 1, problems)
        for word in words:
            self.assertIn(word, problems[0])


class Layers(Repository):
    def setUp(self):
        super().setUp()
        for name in ("base/a.h", "kv/b.h", "weights/c.h", "model/d.h", "engine/engine.h", "engine/other.h"):
            self.write(f"src/{name}", "#pragma once\n")

    def problems_of(self, name, text):
        self.write(name, text)
        return check_layers.check(self.root)

    def test_lower_floors_may_be_included(self):
        self.assertEqual(self.problems_of("src/model/x.cc", '#include "kv/b.h"\n#include "base/a.h"\n#include <vector>\n'), [])

    def test_a_higher_floor_may_not(self):
        self.assert_one(self.problems_of("src/kv/x.cc", '\n#include "model/d.h"\n'), "src/kv/x.cc:2", "kv may not include model")

    def test_a_floor_of_the_same_level_may_not(self):
        self.assert_one(self.problems_of("src/kv/x.cc", '#include "weights/c.h"\n'), "one level")

    def test_wings_do_not_know_each_other(self):
        self.write("src/app/bench/plan.h", "#pragma once\n")
        self.write("src/app/shared.h", "#pragma once\n")
        self.assertEqual(self.problems_of("src/app/bench/x.cc", '#include "app/bench/plan.h"\n#include "app/shared.h"\n'), [])
        self.assertEqual(self.problems_of("src/app/main.cc", '#include "app/bench/plan.h"\n'), [])
        self.assert_one(self.problems_of("src/app/serve/x.cc", '#include "app/bench/plan.h"\n'), "serve and bench")

    def test_the_api_sees_one_file_of_the_engine(self):
        self.assertEqual(self.problems_of("src/api/x.cc", '#include "engine/engine.h"\n'), [])
        self.assert_one(self.problems_of("src/api/x.cc", '#include "engine/other.h"\n'), "engine/other.h")

    def test_unknown_folders_and_files(self):
        self.assert_one(self.problems_of("src/kv/x.cc", '#include "b.h"\n'), "known floor")
        self.assert_one(self.problems_of("src/kv/x.cc", '#include "kv/none.h"\n'), "no such file")
        self.write("src/kv/x.cc", "")
        self.assert_one(self.problems_of("src/attic/x.cc", ""), "layers.txt")

    def test_rings(self):
        self.write("src/kv/one.h", '#include "kv/two.h"\n')
        self.assert_one(self.problems_of("src/kv/two.h", '#include "kv/one.h"\n'), "kv/one.h -> kv/two.h -> kv/one.h")

    def test_intrinsics(self):
        self.assertEqual(self.problems_of("src/kernels/rows/x86_avx2.cc", "#include <immintrin.h>\n"), [])
        self.assert_one(self.problems_of("src/kernels/rows/fast.cc", "#include <immintrin.h>\n"), "immintrin.h")

    def test_operating_system(self):
        self.assertEqual(self.problems_of("src/platform/x.cc", "#include <sys/mman.h>\n#include <mutex>\n"), [])
        self.assert_one(self.problems_of("src/kv/x.cc", "#include <sys/mman.h>\n"), "src/platform/")
        self.assert_one(self.problems_of("src/kv/x.cc", "#include <thread>\n"), "src/platform/")

    def test_the_table_itself(self):
        self.write("tests/tidy/layers.txt", "0 base: kv\n3 kv: base\n")
        problems = check_layers.check(self.root)
        self.assertTrue(any("base may not include kv, which is not on a lower level" in text for text in problems), problems)


@unittest.skipUnless(shutil.which("g++"), "NOT RUN: no g++")
class Headers(Repository):
    def check(self):
        command = f"g++ -std=c++23 -I{self.root}/src -o x.o -c {self.root}/src/kv/x.cc"
        entry = {"directory": str(self.build), "file": f"{self.root}/src/kv/x.cc", "command": command}
        (self.build / "compile_commands.json").write_text(json.dumps([entry]))
        return check_headers.check(self.root, self.build)

    def test_a_header_that_needs_another(self):
        self.write("src/kv/good.h", "#pragma once\n#include <vector>\nstd::vector<int> f();\n")
        self.assertEqual(self.check(), [])
        bad = self.write("src/kv/bad.h", "#pragma once\nstd::vector<int> g();\n")
        self.assert_one(self.check(), "src/kv/bad.h")
        self.assert_one(self.check(), "src/kv/bad.h")  # a failure is not remembered
        bad.write_text('#pragma once\n#include "kv/good.h"\nstd::vector<int> g();\n')
        self.assertEqual(self.check(), [])
        self.write("src/kv/good.h", "#pragma once\n")  # what a header includes counts as its content
        self.assert_one(self.check(), "src/kv/bad.h")

    def test_a_misuse_that_compiles(self):
        self.check()
        parts = "enum class Id : int {};\n// RIGHT: made\nId id{3};\n// WRONG: a number\n"
        self.write("tests/misuse/ids.cc", parts + "Id other = 3;\n")
        self.assertEqual(check_misuse.check(self.root, self.build), [])
        self.write("tests/misuse/ids.cc", parts + "Id other{3};\n")
        self.assert_one(check_misuse.check(self.root, self.build), "ids.cc:4", "compiles")
        self.write("tests/misuse/ids.cc", parts.replace("id{3}", "id = 3") + "Id other = 3;\n")
        self.assert_one(check_misuse.check(self.root, self.build), "ids.cc:2", "does not compile")

    def test_a_header_of_the_simd_vocabulary(self):
        for isa, register in (("avx2", "__m256"), ("avx512", "__m512")):
            self.write(f"src/kernels/simd/{isa}.h", f"#pragma once\n#include <immintrin.h>\nusing Lanes = {register};\n")
        self.write("src/kernels/rows/x86_impl.h", "#pragma once\ninline Lanes same(Lanes x) { return x; }\n")
        self.assertEqual(self.check(), [])
        self.write("src/kernels/rows/x86_impl.h", "#pragma once\ninline Lanes same(Lanes x) { return _mm256_abs_epi8(x); }\n")
        self.assert_one(self.check(), "src/kernels/rows/x86_impl.h")

    def test_a_header_without_guard(self):
        self.write("src/kv/twice.h", "struct Twice {};\n")
        self.assert_one(self.check(), "src/kv/twice.h")


@unittest.skipUnless(shutil.which("g++") and shutil.which("objdump"), "NOT RUN: no g++ or objdump")
class Seals(Repository):
    KERNEL = "namespace folio::kernels { void add(float* x) { for (int i = 0; i < 8; ++i) x[i] += 1; } }\n"

    def compile(self, name, source, *flags):
        path = self.write(f"src/kernels/{name}.cc", source)
        out = self.build / "CMakeFiles/folio_kernels.dir/src/kernels" / f"{name}.cc.o"
        out.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["g++", "-O3", *flags, "-c", path, "-o", out], check=True)

    def setUp(self):
        super().setUp()
        self.compile("x86_avx2", self.KERNEL, "-mavx2")
        self.compile("reference", self.KERNEL.replace("add", "add_reference"))

    def test_sealed_objects_pass(self):
        self.assertEqual(check_seals.check(self.root, self.build), [])

    def test_weak_symbol(self):
        self.compile("x86_avx2", "inline int leak(int x) { return x + 1; }\n"
                     "namespace folio::kernels { int (*f)(int) = leak; }\n", "-mavx2")
        self.assert_one(check_seals.check(self.root, self.build), "weak symbol leak(int)")

    def test_foreign_export(self):
        self.compile("x86_avx2", "void stray() {}\n", "-mavx2")
        self.assert_one(check_seals.check(self.root, self.build), "exports stray()")

    def test_avx_in_generic_code(self):
        self.compile("reference", self.KERNEL, "-mavx2")
        self.assert_one(check_seals.check(self.root, self.build), "folio::kernels::add", "beyond x86-64-v2")

    def test_no_objects(self):
        shutil.rmtree(self.build / "CMakeFiles")
        self.assert_one(check_seals.check(self.root, self.build), "is the Release tree built?")


class Sizes(Repository):
    def test_long_function(self):
        body = "  int x = 0;\n" * 105
        self.write("src/kv/a.cc", f"namespace folio {{\nvoid Class::f(int a,\n             int b) const {{\n{body}}}\n}}\n")
        self.assert_one(check_sizes.check(self.root), "src/kv/a.cc:2", "108 lines")

    def test_long_method_in_a_class(self):
        self.write("src/kv/a.h", "class A {\n public:\n  int f() {\n" + "    x();\n" * 105 + "  }\n};\n")
        self.assert_one(check_sizes.check(self.root), "src/kv/a.h:3", "107 lines")

    def test_a_class_is_no_function(self):
        self.write("src/kv/a.h", "template <typename T>\nclass A {\n" + "  int x_;\n" * 150 + "};\n")
        self.assertEqual(check_sizes.check(self.root), [])

    def test_long_file(self):
        for number in range(20):
            self.write(f"src/kv/small{number}.h", "#pragma once\n")
        self.write("src/kv/huge.h", "int x;\n" * 701)
        self.write("src/kv/some_tables.h", "1, 2,\n" * 5000)
        self.assert_one(check_sizes.check(self.root), "src/kv/huge.h: 701 lines")

    def test_too_many_long_files(self):
        for number in range(4):
            self.write(f"src/kv/a{number}.h", "int x;\n" * (460 if number == 0 else 10))
        self.assert_one(check_sizes.check(self.root), "1 of 4 files")


class Readme(Repository):
    def setUp(self):
        super().setUp()
        self.program("dev", "  run   chat\n  test  --full")
        self.program("build/folio", "  run      -p, --prompt TEXT")

    def program(self, name, text):
        path = self.write(name, f"#!/bin/sh\n[ \"$1\" != broken ] && printf '%s\\n' '{text}'\n")
        path.chmod(0o755)

    def problems_of(self, *lines):
        self.write("README.md", "```sh\n" + "\n".join(lines) + "\n```\n")
        return check_readme.check(self.root, self.build)

    def test_commands(self):
        self.assertEqual(self.problems_of("./dev run", "FOLIO_ISA=avx2 ./dev test --full", "folio run -p 'Hi --no' | head"), [])
        self.assert_one(self.problems_of("./dev run", "./dev fly"), "README.md:3", "does not list fly")
        self.assert_one(self.problems_of("folio run --sing"), "--sing")
        self.assert_one(self.problems_of("folio broken"), "fails")
        self.assert_one(self.problems_of("ls"), "no ./dev or folio command")


class Hardening(Repository):
    HEADERS = """  Type:                              DYN (Position-Independent Executable file)
  GNU_STACK      0x000000 0x0000000000000000 0x0000000000000000 0x000000 0x000000 RW  0x10
  GNU_RELRO      0x14f2ba 0x000000000014f2ba 0x000000000014f2ba 0x086cb9 0x0875c8 R   0x1
 0x000000000000001e (FLAGS)              BIND_NOW
 0x000000006ffffffb (FLAGS_1)            Flags: NOW PIE
"""
    SYMBOLS = {"__stack_chk_fail", "__memcpy_chk", check_hardening.ASSERTION, "read"}

    def test_a_hardened_program_passes(self):
        self.assertEqual(list(check_hardening.segment_problems(self.HEADERS)), [])
        self.assertEqual(list(check_hardening.symbol_problems(self.SYMBOLS)), [])

    def test_each_flag_is_missed(self):
        for old, new, words in (("Type:                              DYN", "Type:                              EXEC", "-pie"), (" PIE\n", "\n", "-pie"),
                                ("GNU_RELRO", "GNU_OTHER", "relro"), ("RW  0x10", "RWE 0x10", "executable stack"), ("GNU_STACK", "X", "stack")):
            self.assert_one(list(check_hardening.segment_problems(self.HEADERS.replace(old, new))), words)
        lazily = self.HEADERS.replace("BIND_NOW", "").replace("NOW PIE", "PIE")
        self.assert_one(list(check_hardening.segment_problems(lazily)), "-z now")
        for name, words in (("__stack_chk_fail", "protector"), ("__memcpy_chk", "FORTIFY"), (check_hardening.ASSERTION, "GLIBCXX")):
            self.assert_one(list(check_hardening.symbol_problems(self.SYMBOLS - {name})), words)

    def test_a_tree_without_the_program_is_no_success(self):
        self.assert_one(check_hardening.check(self.root, self.build), "is missing")


class Words(Repository):
    def test_reminders_and_machine_paths(self):
        self.write("src/kv/a.cc", "// network/work and src/work/x are fine, ~/.cache too\n")
        self.assertEqual(check_words.check(self.root), [])
        self.write("src/kv/a.cc", "// TO" "DO: later\n")
        self.assert_one(check_words.check(self.root), "src/kv/a.cc:1")
        self.write("src/kv/a.cc", "\nauto f = \"/wo" "rk/main/x\";\n")
        self.assert_one(check_words.check(self.root), "src/kv/a.cc:2", "path of one machine")
        self.write("src/kv/a.cc", "")
        self.write("build/x.cc", "TO" "DO")  # a build tree
        self.assertEqual(check_words.check(self.root), [])


class Driver(Repository):
    """run_test.py and not_run.py, which decide what counts as run."""

    def start(self, *arguments, environment=None):
        process = subprocess.run([sys.executable, HERE.parent / "run_test.py", *arguments], text=True, capture_output=True,
                                 env={"PATH": "/usr/bin:/bin", **(environment or {})})
        return process.returncode, process.stdout

    def script(self, text):
        path = self.write("program", f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return str(path)

    def test_status_and_environment(self):
        self.assertEqual(self.start("--", self.script("exit 3"))[0], 3)
        self.assertEqual(self.start("--", self.script("kill -SEGV $$"))[0], 1)
        status, output = self.start("--isa", "reference", "--cases", "7", "--", self.script("echo $FOLIO_ISA $RC_PARAMS"))
        self.assertEqual((status, output), (0, "reference max_success=7\n"))

    def test_a_program_that_is_not_there(self):
        self.assertEqual(self.start("--", str(self.root / "none"))[0], 1)

    def test_a_run_of_no_test_fails(self):
        self.assertEqual(self.start("--", self.script("echo '[==========] 0 tests from 0 test suites ran. (0 ms total)'"))[0], 1)
        self.assertEqual(self.start("--", self.script("echo '[==========] 10 tests from 1 test suite ran.'"))[0], 0)

    def test_data(self):
        program = self.script("echo $@")
        status, output = self.start("--data", "data/x", "--", program)
        self.assertEqual((status, output), (run_test.SKIPPED, "NOT RUN: data/x: FOLIO_SHARED is not set\n"))
        shared = {"FOLIO_SHARED": str(self.root)}
        self.assertEqual(self.start("--data", "data/x", "--", program, environment=shared)[0], 1)
        for name in ("a", "b", "c"):
            (self.root / "data/x" / name).mkdir(parents=True)
        self.assertEqual(self.start("--data", "data/x", "--", program, environment=shared)[1], f"{self.root}/data/x\n")
        self.assertEqual(self.start("--data", "data/x", "--except", "b", "--", program, environment=shared)[1],
                         f"{self.root}/data/x/a {self.root}/data/x/c\n")

    def test_an_isa_that_the_cpu_lacks(self):
        self.addCleanup(setattr, run_test, "cpu_flags", run_test.cpu_flags)
        run_test.cpu_flags = lambda: {"avx2", "fma"}
        with self.assertRaisesRegex(run_test.NotRun, "lacks f16c"):
            run_test.require_isa("avx2")

    def test_report(self):
        log = ("1/3 Testing: unit.a\nNOT RUN: FOLIO_ISA=avx512: this CPU lacks avx512f\n"
               "2/3 Testing: unit.b\nx.cc:12: Skipped\nno model here\n[  SKIPPED ] A.B (0 ms)\n"
               "3/3 Testing: unit.c\nNOT RUN: FOLIO_ISA=avx512: this CPU lacks avx512f\n")
        self.assertEqual(not_run.report(log)[1:], ["  NOT RUN: FOLIO_ISA=avx512: this CPU lacks avx512f [unit.a, unit.c]",
                                                   "  NOT RUN: no model here [unit.b]"])
        self.assertEqual(not_run.report("1/1 Testing: unit.a\n"), ["No test of this run was skipped."])


if __name__ == "__main__":
    unittest.main()
