#!/usr/bin/env python3
"""The memory that folio says it will take against what it takes, and limits of every kind. The 1B shape with --full only."""

import json
import os
import re
import resource
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import program  # noqa: E402
from program import STORIES, default_model  # noqa: E402
from serving import Server  # noqa: E402

MB = 1 << 20
# Planned for the worst that clients may do; these tests do not, and allow them little.
OF_CLIENTS = {"connections", "request bodies", "prompts and answers"}
AFTER_WEIGHTS = {"KV blocks", "KV index", "activations", "logits", "attention scratch", "threads"}
FEW_CLIENTS = ("--max-connections", "8", "--max-request-bytes", "64K", "--max-num-queued-reqs", "1", "--max-num-seqs", "1")


def plan_of(notes):
    """The table of --verbose: {line: MB}."""
    lines = dict(re.findall(r"^  (\S.*?) +([\d.]+) MB$", "".join(notes), re.MULTILINE))
    return {name: float(value) for name, value in lines.items()}


def status_mb(process, label):
    with open(f"/proc/{process.pid}/status") as file:
        return int(re.search(rf"^{label}:\s+(\d+) kB", file.read(), re.MULTILINE)[1]) / 1024


class Measured(program.Case):
    def check(self, model, kv, words):
        """Starts with a pool of so many MB, fills it, and compares at both times."""
        with Server(model, "--kv-cache-memory-bytes", f"{kv}M", *FEW_CLIENTS, "--verbose") as server:
            plan = plan_of(server.notes)
            total, available = plan.pop("in all"), plan.pop("available")
            self.assertAlmostEqual(sum(plan.values()), total, delta=0.05 * (len(plan) + 1))
            self.assertLess(total, available)
            self.assertAlmostEqual(plan["KV blocks"], kv, delta=1)
            promised = total - sum(plan[name] for name in OF_CLIENTS)
            # While loading, the pages of one tensor stand where later something else does: clients too, but not here.
            loading = self.largest_tensor_mb(model) - sum(plan.get(name, 0) for name in AFTER_WEIGHTS)
            promised += max(0, loading) - plan.get("while loading", 0)
            margin = max(32, 0.02 * promised)

            # At the start: the program, weights and lists. What a step or a request touches comes later.
            later = {"KV blocks", "activations", "logits", "attention scratch", "threads"}
            started = promised - max(0, loading) - sum(plan.get(name, 0) for name in later)
            self.assertAlmostEqual(status_mb(server.process, "VmRSS"), started, delta=max(32, 0.02 * started), msg=plan)
            self.assertLess(status_mb(server.process, "VmHWM"), promised + margin, plan)

            # Prompts that share nothing until every block has been used; of one the logits of all positions.
            blocks = server.metric_label("vllm:cache_config_info", "num_gpu_blocks")
            for number in range(1, 1 + blocks * 16 // words + 1):
                ids = [1000 + (number * 7919 + i * 104729) % 30000 for i in range(words)]
                body = {"prompt": ids, "max_tokens": 1} | ({"prompt_logprobs": 1} if number == 1 else {})
                status, _, answer = server.ask("POST", "/v1/completions", body)
                self.assertEqual(status, 200, answer)
            resident, peak = status_mb(server.process, "VmRSS"), status_mb(server.process, "VmHWM")
            print(f"{os.path.basename(model)}: planned {promised:.0f} MB, resident {resident:.0f}, peak {peak:.0f}")
            # The scratch of attention is for contexts of many splits, which so small a pool does not hold.
            filled = promised - max(0, loading) - plan["attention scratch"]
            self.assertAlmostEqual(resident, filled, delta=margin, msg=plan)
            self.assertAlmostEqual(peak, promised, delta=margin, msg=plan)

    def largest_tensor_mb(self, model):
        report = json.loads(self.folio("inspect", "--json", "--only", "tensors", model).stdout)
        return max(tensor["bytes"] for tensor in report["tensors"]["list"]) / 2**20

    def test_the_default_model(self):
        self.check(default_model(), kv=100, words=512)

    @unittest.skipUnless(os.environ.get("FOLIO_TEST_SHAPE_1B"), "the 1B shape: ./dev test --full makes the model")
    def test_the_1b_shape(self):
        self.check(os.environ["FOLIO_TEST_SHAPE_1B"], kv=64, words=512)


class Limits(program.Case):
    def limited(self, *arguments, addresses, **options):
        """Under `ulimit -v` of so many MB."""
        return self.fails(*arguments, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (addresses * MB, addresses * MB)), **options)

    def test_memory_beyond_the_machine(self):
        for verb in (("run", STORIES, "-p", "x"), ("serve", STORIES)):
            self.fails(*verb, "--memory", "900t", says=("--memory", "this machine gives"))
        bench = self.folio("bench", "-m", STORIES, "--no-probe", "--prompt", "16", "--gen", "4", "--memory", "900t")
        self.assertEqual(bench.returncode, 1)
        self.assertIn(b"this machine gives", bench.stderr)
        for value in ("x", "0"):
            self.fails("run", STORIES, "-p", "x", "--memory", value, status=2, says="--memory")

    def test_memory_caps_the_sum(self):
        error = self.fails("serve", STORIES, "--memory", "900M", "--kv-cache-memory-bytes", "2G", says=("KV blocks 2048", "--memory allows 900 MB"))
        fits = re.search(r"--kv-cache-memory-bytes (\S+) fits", error)[1]
        with Server(STORIES, "--memory", "900M", "--kv-cache-memory-bytes", fits, "--verbose") as server:
            self.assertIn("bounded by --memory: 900 MB", "".join(server.notes))
        with Server(STORIES, "--memory", "900M", "--verbose") as server:  # automatic sizes fit
            plan = plan_of(server.notes)
            self.assertLessEqual(plan["in all"], 900)
            self.assertGreater(plan["KV blocks"], 100)

    def test_ulimit(self):
        self.limited("run", STORIES, "--raw", "-p", "x", "--kv-tokens", "1000000", addresses=900, says=("KV blocks", "(ulimit -v: 900 MB)", "--kv-tokens"))
        self.limited("run", STORIES, "--raw", "-p", "x", addresses=120, says="ulimit -v")

    def test_automatic_sizes_work_under_ulimit(self):
        limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (1200 * MB, 1200 * MB))  # noqa: E731
        result = self.folio("run", STORIES, "--raw", "-p", "Once upon a time", "-n", "5", "-t", "2", preexec_fn=limit)
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_contradictory_sizes(self):
        self.fails("serve", STORIES, "--kv-cache-memory-bytes", "1G", "--num-gpu-blocks-override", "5", status=2, says=("both say", "give one of them"))
        self.fails("serve", STORIES, "--max-model-len", "512", "--num-gpu-blocks-override", "5", says=("contradict each other", "32 KV blocks"))
        self.fails("run", STORIES, "-p", "x", "-c", "512", "--kv-tokens", "64", says="contradict each other")
        self.fails("serve", STORIES, "--kv-cache-memory-bytes", "1", says="not even one KV block")
        self.fails("serve", STORIES, "--num-gpu-blocks-override", str(1 << 31), says=("can be addressed", "TB", "fits"))

    def test_verbose_shows_every_line(self):
        result = self.folio("run", STORIES, "--raw", "-p", "Once", "-n", "1", "--verbose")
        plan = plan_of([result.stderr.decode()])
        for name in ("program and vocabulary", "weights", "norms and biases", "activations", "logits", "attention scratch", "threads",
                     "KV blocks", "KV index", "in all", "available"):
            self.assertGreater(plan.get(name, -1), -0.5, name)


if __name__ == "__main__":
    program.main()
