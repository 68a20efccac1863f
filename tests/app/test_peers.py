#!/usr/bin/env python3
"""bench/peers/: compare.py with a stand-in for the peer's script (what it installs, runs in turn, computes and refuses),
and llama_cpp_peer.py with a stand-in for llama.cpp's library (what it asks of the C interface)."""

import json
import math
import os
import shutil
import stat
import struct
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import program  # noqa: E402
from program import ROOT, STORIES, Case  # noqa: E402

# Speaks the protocol of the peers' scripts: prefill at 1000 tok/s, decode at 100, a divergence of a quarter, whatever it
# is asked.
SCRIPT = """#!{python}
import json, struct, sys
open({log!r}, "a").write("start " + " ".join(sys.argv[1:]) + "\\n")
print("a library's greeting")
print(json.dumps({{"version": "stand-in 1"}}), flush=True)
for line in sys.stdin:
    run = json.loads(line)
    open({log!r}, "a").write(line)
    if "exact" in run:
        data = open(run["exact"], "rb").read()
        vocabulary, tokens, length = struct.unpack("<3i", data[:12])
        whole = len(data) == 12 + 4 * tokens + 4 * tokens * vocabulary and max(struct.unpack("<4i", data[12:28])) < vocabulary
        positions = tokens - -(-tokens // length)
        print(json.dumps({{"divergence": positions / 4, "largest": 1.0 if whole else 99.0, "nll": 0.0, "exact_nll": 0.0,
                          "top1_equal": 7, "positions": positions}}), flush=True)
        continue
    answer = {{"prefill_s": run["streams"] * run["prompt"] / 1000 or None,
              "decode_s": run["streams"] * run["generate"] / 100 or None}}
    print(json.dumps(answer if run["prompt"] != 13 else {{"error": "thirteen is not for me"}}), flush=True)
"""
NPM = """#!/bin/sh
echo "npm $*" >>{log}
{ending}
"""


class Peers(Case):
    def setUp(self):
        super().setUp()
        self.log = self.folder / "log"
        self.programs = self.folder / "programs"
        self.programs.mkdir()

    def put(self, name, text):
        path = self.programs / name
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def stand_in(self, npm="exit 0"):
        self.put("npm", NPM.format(log=self.log, ending=npm))
        self.put("python3", SCRIPT.format(python=sys.executable, log=str(self.log)))

    def compare(self, *arguments, path=None):
        command = [sys.executable, ROOT / "bench" / "peers" / "compare.py", "--folio", program.FOLIO, "--home",
                   self.folder / "peers", "--default-model", STORIES, "--peer", "llama.cpp", "-t", "1", *arguments]
        environment = self.environment(PATH=path or f"{self.programs}:{os.environ['PATH']}")
        return subprocess.run([str(word) for word in command], capture_output=True, text=True, env=environment,
                              stdin=subprocess.DEVNULL, timeout=120)

    def refused(self, *arguments, says, **options):
        result = self.compare(*arguments, **options)
        self.assertEqual(result.returncode, 1, result.stderr)
        last = result.stderr.strip().splitlines()[-1]
        self.assertTrue(last.startswith("dev: "), result.stderr)
        for text in says:
            self.assertIn(text, last)

    def test_both_in_turn_on_the_same_shapes(self):
        self.stand_in()
        result = self.compare("-p", "32", "-n", "4", "-d", "0,64", "-r", "2", "-b", "3", "--batch-prompt", "16",
                              "--batch-gen", "8", "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        report = json.loads(result.stdout)
        self.assertEqual((report["peer"], report["threads"], report["repetitions"]), ("stand-in 1", 1, 2))
        rows = report["rows"]
        self.assertEqual([(row["test"], row["streams"], row["prompt"], row["depth"], row["generate"]) for row in rows],
                         [("prefill", 1, 32, 0, 0), ("decode", 1, 0, 0, 4), ("decode", 1, 0, 64, 4), ("prefill", 3, 16, 0, 8),
                          ("decode", 3, 16, 0, 8)])
        for row in rows:
            self.assertAlmostEqual(row["peer_tokens_per_s"], 1000 if row["test"] == "prefill" else 100)
            self.assertEqual((len(row["folio_all"]), len(row["peer_all"])), (2, 2))
            ratios = sorted(a / b for a, b in zip(row["folio_all"], row["peer_all"]))
            self.assertAlmostEqual(row["ratio"], sum(ratios) / 2)
            self.assertGreater(row["folio_tokens_per_s"], 0)
        log = self.log.read_text().splitlines()
        self.assertIn("@node-llama-cpp/linux-x64@3.22.1", log[0])
        self.assertIn("llama_cpp_peer.py", log[1])
        self.assertIn(str(STORIES), log[1])
        self.assertEqual(len(log), 2 + 4 * 3, "one run to warm up and two that count, of each shape")

    def test_divergence_on_the_same_tokens(self):
        self.stand_in()
        text = self.folder / "text"
        text.write_text("Once upon a time, there was a little girl named Lily. " * 40)
        result = self.compare("--kld", text, "--tokens", "300")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stdout, r"(?m)^mixed activations +KLD mean [\d.e-]+, largest")
        self.assertIn("KLD mean 2.50e-01, largest 1.0e+00; top-1 7/298 equal; perplexity 1.0000 for 1.0000", result.stdout)
        self.assertIn('"kv": "F16"', self.log.read_text())
        self.refused("--kld", "none", says=("none", "cannot be opened"))

    def test_the_package_is_installed_once(self):
        self.stand_in()
        for _ in range(2):
            table = self.compare("-p", "16", "-n", "4", "-r", "1")
            self.assertEqual(table.returncode, 0, table.stderr)
        self.assertRegex(table.stdout, r"prefill +1 +16 +- +- +[\d.]+ +1000.0 +[\d.]+x")
        self.assertRegex(table.stdout, r"decode +1 +- +- +4 +[\d.]+ +100.0 +[\d.]+x")
        self.assertEqual(self.log.read_text().count("npm install"), 1)

    def test_an_install_that_fails(self):
        self.stand_in(npm="echo 'npm error code ENOTFOUND' >&2; exit 1")
        for _ in range(2):
            self.refused(says=("llama.cpp could not be installed", "ENOTFOUND", "network"))
        self.assertEqual(self.log.read_text().count("npm install"), 2, "tried anew")

    def test_a_missing_program(self):
        empty = self.folder / "empty"
        empty.mkdir()
        self.refused(says=("needs npm", "apt-get install npm"), path=str(empty))

    def test_what_the_peer_refuses(self):
        self.stand_in()
        self.refused("-p", "13", says=("llama.cpp: thirteen is not for me",))
        self.put("python3", "#!/bin/sh\necho 'cannot load' >&2\nexit 3\n")
        self.refused(says=("ended without an answer", "cannot load"))

    def test_what_folio_refuses(self):
        self.stand_in()
        self.refused(says=("needs a context of 513", "takes 512"))  # the default prompt of 512
        self.refused("-p", "0", "-d", "512", says=("needs a context of 578", "takes 512"))
        self.refused("none.gguf", says=("none.gguf", "GGUF"))
        self.refused("-p", "0", "-n", "0", says=("nothing to measure",))


STAND_IN = ROOT / "tests" / "app" / "stand_in_llama.cc"
COMPILER = shutil.which("c++")


@unittest.skipUnless(COMPILER, "llama.cpp's C interface: no c++ to build a stand-in for its library with")
class CInterface(Case):
    def setUp(self):
        super().setUp()
        self.log = self.folder / "log"
        self.log.touch()
        self.libraries = self.folder / "node_modules/@node-llama-cpp/linux-x64/bins/linux-x64"
        self.libraries.mkdir(parents=True)
        self.build()

    def build(self, *definitions):
        library = self.libraries / "libllama.v0.5.0.so"
        subprocess.run([COMPILER, "-std=c++20", "-shared", "-fPIC", *definitions, "-o", library, STAND_IN], check=True)
        for name in ("libggml-base.so", "libggml.v0.5.0.so"):
            shutil.copy(library, self.libraries / name)

    def ask(self, *questions, model="model.gguf", threads=3):
        """The answers, the one about the version first."""
        command = [sys.executable, ROOT / "bench" / "peers" / "llama_cpp_peer.py", self.folder, model, str(threads)]
        result = subprocess.run(command, input="".join(json.dumps(question) + "\n" for question in questions), text=True,
                                capture_output=True, timeout=120, env=self.environment(STAND_IN_LOG=str(self.log)))
        self.assertEqual(result.returncode, 0, result.stderr)
        return [json.loads(line) for line in result.stdout.splitlines()]

    def calls(self, *names):
        return [line for line in self.log.read_text().splitlines() if line.split(" ")[0] in names]

    def test_a_prompt_goes_in_batches_and_only_its_last_token_has_logits(self):
        version, times = self.ask({"prompt": 2100, "generate": 0, "depth": 0, "streams": 1})
        self.assertIn("v0.5.0", version["version"])
        self.assertGreaterEqual(times["prefill_s"], 2.1)
        self.assertLess(times["prefill_s"], 20)
        self.assertIsNone(times["decode_s"])
        self.assertEqual(self.calls("threadpool", "attach", "kernels"),
                         ["kernels from /linux-x64", "threadpool of 3, poll 50", "attach 1 0"])
        self.assertEqual(self.calls("context"),
                         ["context 2304 batch 2048/512 sequences 1 outputs 1 threads 3/3 types 1/1 full window 0"])
        self.assertEqual(self.calls("decode", "clear"), ["clear 0", "decode 2048: 0/0 to 0/2047, 0 outputs",
                                                         "decode 52: 0/2048 to 0/2099, 1 outputs"])

    def test_tokens_go_one_by_one_behind_the_same_context(self):
        question = {"prompt": 0, "generate": 2, "depth": 40, "streams": 1}
        _, first, again = self.ask(question, question)
        for times in (first, again):
            self.assertIsNone(times["prefill_s"])
            self.assertGreaterEqual(times["decode_s"], 0.002)
        steps = ["decode 1: 0/40 to 0/40, 1 outputs", "decode 1: 0/41 to 0/41, 1 outputs"]
        self.assertEqual(self.calls("decode", "clear", "cut"),
                         ["clear 0", "decode 40: 0/0 to 0/39, 1 outputs", *steps, "cut 0 40 -1", *steps])

    def test_streams_share_their_steps(self):
        _, times = self.ask({"prompt": 5, "generate": 2, "streams": 3})
        self.assertEqual(self.calls("context"),
                         ["context 768 batch 2048/512 sequences 3 outputs 1 threads 3/3 types 1/1 full window 0"])
        self.assertEqual(self.calls("decode"), ["decode 15: 0/0 to 2/4, 3 outputs", "decode 3: 0/5 to 2/5, 3 outputs",
                                                "decode 3: 0/6 to 2/6, 3 outputs"])
        self.assertGreaterEqual(times["prefill_s"], 0.015)
        self.assertGreaterEqual(times["decode_s"], 0.006)

    def test_divergence_of_known_distributions(self):
        vocabulary, tokens, length = 20, 6, 4
        exact = self.folder / "exact"
        exact.write_bytes(struct.pack(f"<3i{tokens}i{tokens * vocabulary}f", vocabulary, tokens, length, *range(tokens),
                                      *[0.0] * (tokens * vocabulary)))
        _, sums = self.ask({"exact": str(exact), "kv": "BF16"})
        self.assertEqual(sums["positions"], 4, "the last of each sequence has nothing behind it")
        # From 1/20 for each to 2/21 for token 0 and 1/21 for the others.
        one = math.log(1 / 20) - (math.log(2 / 21) + 19 * math.log(1 / 21)) / 20
        self.assertAlmostEqual(sums["divergence"], 4 * one, places=6)
        self.assertAlmostEqual(sums["largest"], one, places=6)
        self.assertAlmostEqual(sums["exact_nll"], 4 * math.log(20), places=6)
        self.assertAlmostEqual(sums["nll"], 4 * math.log(21), places=6)  # of tokens 1, 2, 3 and 5
        self.assertEqual(sums["top1_equal"], 4)
        self.assertIn("outputs 0 threads 3/3 types 30/30", self.calls("context")[0])
        self.assertEqual(self.calls("decode"), ["decode 4: 0/0 to 0/3, 4 outputs", "decode 2: 0/0 to 0/1, 2 outputs"])
        exact.write_bytes(exact.read_bytes()[:-4 * vocabulary - 1])
        self.assertIn("is cut off", self.ask({"exact": str(exact), "kv": "F16"})[1]["error"])

    def test_what_is_not_the_library_that_the_script_knows(self):
        self.build("-DDEFAULT_CONTEXT=4096")
        self.assertIn("gives n_ctx = 4096 instead of 512", self.ask()[0]["error"])
        (self.libraries / "libllama.v0.5.0.so").write_bytes(b"no library")
        self.assertIn("cannot be loaded", self.ask()[0]["error"])
        (self.libraries / "libllama.v0.5.0.so").unlink()
        self.assertIn("there is no libllama", self.ask()[0]["error"])
        shutil.rmtree(self.folder / "node_modules")
        self.assertIn("no prebuilt llama.cpp", self.ask()[0]["error"])

    def test_a_model_that_it_refuses(self):
        self.assertEqual(self.ask(model="broken.gguf")[0]["error"], "broken.gguf could not be loaded (magic is not GGUF)")


if __name__ == "__main__":
    program.main()
