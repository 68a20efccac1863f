#!/usr/bin/env python3
"""bench/peers/compare.py with a stand-in for the peer: what it installs, runs in turn, computes and refuses."""

import json
import os
import stat
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import program  # noqa: E402
from program import ROOT, STORIES, Case  # noqa: E402

# Speaks the protocol of the peers' scripts: prefill at 1000 tok/s, decode at 100, a divergence of a quarter, whatever it
# is asked.
NODE = """#!{python}
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
    answer = {{"prefill_s": run["streams"] * run["prompt"] / 1000, "decode_s": run["streams"] * run["generate"] / 100}}
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
        self.put("node", NODE.format(python=sys.executable, log=str(self.log)))

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
        result = self.compare("-p", "32", "-n", "4", "-r", "2", "-b", "3", "--batch-prompt", "16", "--batch-gen", "8", "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        report = json.loads(result.stdout)
        self.assertEqual((report["peer"], report["threads"], report["repetitions"]), ("stand-in 1", 1, 2))
        rows = report["rows"]
        self.assertEqual([(row["test"], row["streams"], row["prompt"], row["generate"]) for row in rows],
                         [("prefill", 1, 32, 4), ("decode", 1, 32, 4), ("prefill", 3, 16, 8), ("decode", 3, 16, 8)])
        for row in rows:
            self.assertAlmostEqual(row["peer_tokens_per_s"], 1000 if row["test"] == "prefill" else 100)
            self.assertEqual((len(row["folio_all"]), len(row["peer_all"])), (2, 2))
            ratios = sorted(a / b for a, b in zip(row["folio_all"], row["peer_all"]))
            self.assertAlmostEqual(row["ratio"], sum(ratios) / 2)
            self.assertGreater(row["folio_tokens_per_s"], 0)
        log = self.log.read_text().splitlines()
        self.assertIn("node-llama-cpp@3.22.1", log[0])
        self.assertIn(str(STORIES), log[1])
        self.assertEqual(len(log), 2 + 2 * 3, "one run to warm up and two that count, of each shape")

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
        self.assertRegex(table.stdout, r"prefill +1 +16 +- +[\d.]+ +1000.0 +[\d.]+x")
        self.assertEqual(self.log.read_text().count("npm install"), 1)

    def test_an_install_that_fails(self):
        self.stand_in(npm="echo 'npm error code ENOTFOUND' >&2; exit 1")
        for _ in range(2):
            self.refused(says=("llama.cpp could not be installed", "ENOTFOUND", "network"))
        self.assertEqual(self.log.read_text().count("npm install"), 2, "tried anew")

    def test_a_missing_program(self):
        empty = self.folder / "empty"
        empty.mkdir()
        self.refused(says=("needs node", "apt-get install nodejs npm"), path=str(empty))

    def test_what_the_peer_refuses(self):
        self.stand_in()
        self.refused("-p", "13", says=("llama.cpp: thirteen is not for me",))
        self.put("node", "#!/bin/sh\necho 'cannot load' >&2\nexit 3\n")
        self.refused(says=("ended without an answer", "cannot load"))

    def test_what_folio_refuses(self):
        self.stand_in()
        self.refused(says=("needs a context of 578", "takes 512"))  # the default prompt of 512
        self.refused("none.gguf", says=("none.gguf", "GGUF"))


if __name__ == "__main__":
    program.main()
