#!/usr/bin/env python3
"""bench/serve/measure.py with a tiny model: every part measures, the figures fit each other, and what cannot be is said."""

import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import program  # noqa: E402
from program import ROOT, STORIES, Case  # noqa: E402

SMALL = ("--chats", "2,5", "-p", "90", "-n", "30", "--long-prompt", "400", "--beside-prompt", "380", "--idle", "60", "-r", "2")


class BenchServe(Case):
    def measure(self, *arguments, model=STORIES):
        command = [sys.executable, ROOT / "bench" / "serve" / "measure.py", "--folio", program.FOLIO, "--model", model, *arguments]
        return subprocess.run([str(word) for word in command], capture_output=True, text=True, env=self.environment(), timeout=120)

    def test_figures(self):
        run = self.measure(*SMALL, "--json", "--", "--threads", "1")
        self.assertEqual(run.returncode, 0, run.stderr)
        report = json.loads(run.stdout)
        health = report["start"]["health_s"]
        self.assertTrue(0 < health["min"] <= health["median"] <= health["max"] < 60)
        self.assertEqual([row["chats"] for row in report["chats"]], [2, 5])
        for row in report["chats"]:
            self.assertEqual((row["errors"], row["output_tokens"]), (0, row["chats"] * 30))
            self.assertAlmostEqual(row["prompt_tokens"] / row["chats"], 90, delta=8)
            self.assertAlmostEqual(row["output_tok_per_s"], row["output_tokens"] / row["wall_s"])
            self.assertLess(row["ttft_s"]["p50"], row["wall_s"])
            if row["itl_s"]:  # not where each of these short answers came in one event
                self.assertLessEqual(row["itl_s"]["p50"], row["itl_s"]["p99"])
            self.assertIn("folio-engine", row["cpu_s"])
            self.assertIn("folio-prepare", row["cpu_s"])
            self.assertTrue(0 <= row["server_threads_share"] <= 1)
        warm = report["warm"]
        self.assertAlmostEqual(warm["prompt_tokens"], 400, delta=8)
        self.assertEqual(warm["cached_tokens"], warm["prompt_tokens"] - 1, "again, all but one token is read")
        self.assertLess(warm["warm_ttft_s"], warm["cold_ttft_s"])
        self.assertAlmostEqual(warm["warm_over_floor"], warm["warm_ttft_s"] / (warm["decode_step_s"] + warm["tokenise_s"]))
        beside = report["beside"]
        self.assertEqual((beside["streams"], beside["budget_s"]), (8, 0.25))
        self.assertAlmostEqual(beside["prompt_tokens"], 380, delta=8)
        for itl in (beside["itl_s"], beside["calm_itl_s"]):
            self.assertTrue(0 < itl["p50"] <= itl["p99"] <= itl["max"])
        self.assertGreater(beside["prompt_ttft_s"], 0)
        self.assertEqual(report["idle"]["connections"], 60)
        self.assertTrue(report["idle"]["still_healthy"])
        self.assertLess(report["idle"]["bytes_each"], 100_000)

    def test_text(self):
        run = self.measure(*SMALL, "--only", "idle,start")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("start to /health 200", run.stdout)
        self.assertIn("60 idle connections", run.stdout)
        self.assertNotIn("chats at once", run.stdout)
        run = self.measure(*SMALL, "--only", "chats,warm")
        self.assertIn("server threads' CPU", run.stdout)
        self.assertIn("tokens from the cache", run.stdout)
        run = self.measure(*SMALL, "--only", "beside", "--", "--step-budget-ms=40")
        self.assertIn("the budget of a step being 40 ms", run.stdout, run.stderr)

    def test_what_cannot_be(self):
        for arguments, says in ((("--long-prompt", "4000", "--only", "warm"), "4024 tokens are asked for and 512 fit"),
                                (("--only", "chats", "-p", "512"), "fit one request"), (("--", "--port", "99999"), "did not start")):
            run = self.measure(*arguments)
            self.assertEqual(run.returncode, 1, run.stdout)
            self.assertTrue(run.stderr.strip().splitlines()[-1].startswith("dev: "), run.stderr)
            self.assertIn(says, run.stderr)
        self.assertIn("there is no model", self.measure(model="/nowhere.gguf").stderr)
        self.assertEqual(self.measure("--only", "nonsense").returncode, 2)

    def test_errors_are_counted(self):
        run = self.measure("--only", "chats", "--chats", "12", "-p", "60", "-n", "20", "--json", "--", "--max-num-queued-reqs", "1")
        self.assertEqual(run.returncode, 1, run.stderr)
        (row,) = json.loads(run.stdout)["chats"]
        self.assertGreater(row["errors"], 0)
        self.assertIn("queue_full", row["first_error"])
        self.assertEqual(row["output_tokens"], (12 - row["errors"]) * 20)


if __name__ == "__main__":
    program.main()
