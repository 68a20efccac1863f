#!/usr/bin/env python3
"""folio-experiments on a tiny model and on none: the figures that are the same everywhere, and what it refuses."""

import json
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import program  # noqa: E402
from program import STORIES, Case  # noqa: E402


class Experiments(Case):
    def experiment(self, *arguments):
        command = [pathlib.Path(program.FOLIO).parent / "folio-experiments", *arguments]
        return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300,
                              env=self.environment(), stdin=subprocess.DEVNULL)

    def report(self, *arguments):
        result = self.experiment(*arguments, "--json")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return json.loads(result.stdout)

    def refused(self, *arguments, says):
        result = self.experiment(*arguments)
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        self.assertTrue(result.stderr.startswith("folio-experiments: "), result.stderr)
        for text in says:
            self.assertIn(text, result.stderr)

    def test_the_engines_table(self):
        trace = self.write("trace.jsonl", b'{"hash_ids": [0, 1, 2]}\n{"hash_ids": [5]}\n{"hash_ids": [0, 1, 3]}\n')
        report = self.report("engine", STORIES, "--no-probe", "-t", "1", "--trace", trace)
        rows = {row["name"]: row for row in report["rows"] if row["name"] != "trace"}
        self.assertEqual(list(rows), ["live_kv_share", "upkeep_decode_us", "upkeep_mean_us", "upkeep_share_of_1b_step", "slots", "together",
                                      "first_token_cold_s", "first_token_warm_s", "first_token_ratio", "saved_by_samples",
                                      "saved_by_beams", "saved_by_system_prompt", "trace_infinite"])
        value = {name: row["value"] for name, row in rows.items()}
        self.assertIsNone(value.pop("upkeep_share_of_1b_step"))  # of limits that were not measured
        self.assertTrue(all(v > 0 for v in value.values()), value)
        # What only counts blocks is the same everywhere.
        self.assertGreater(value["live_kv_share"], 0.99)
        self.assertGreater(value["slots"], 4)
        self.assertEqual(rows["upkeep_mean_us"]["steps"] > 500, True)
        self.assertGreater(value["saved_by_system_prompt"], 0.85)
        self.assertTrue(0.4 < value["saved_by_samples"] < value["saved_by_beams"] < 5 / 6, value)
        self.assertEqual(rows["first_token_cold_s"]["prompt_tokens"], 495)
        self.assertLess(value["first_token_warm_s"], value["first_token_cold_s"])
        self.assertEqual(value["trace_infinite"], 2 / 7)
        traces = [(row["capacity_percent"], row["eviction"], row["hit_blocks"]) for row in report["rows"] if row["name"] == "trace"]
        self.assertEqual(traces, [(10, "lru", 0), (10, "cost", 0), (30, "lru", 0), (30, "cost", 0), (100, "lru", 2), (100, "cost", 2)])

    def test_blocks_and_one_run_of_memory_give_the_same_bits(self):
        rows = self.report("paging")["rows"]  # which fails if they do not
        self.assertEqual([(row["rows"], row["positions"], len(row["ratios"])) for row in rows], [(1, 4096, 21), (32, 4096, 21)])
        for row in rows:
            self.assertEqual(row["value"], sorted(row["ratios"])[10])

    def test_the_crowd_needs_no_model(self):
        result = self.experiment("crowd", "--no-probe")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertRegex(result.stdout, r"8 slots of 8192.*x  >= 4x\n")
        rows = {row["name"]: row["value"] for row in self.report("crowd", "--no-probe")["rows"]}
        self.assertEqual(list(rows), ["live_kv_share", "upkeep_decode_us", "upkeep_mean_us", "upkeep_share_of_1b_step", "slots",
                                      "saved_by_system_prompt"])
        self.assertGreater(rows["live_kv_share"], 0.99)
        self.assertGreater(rows["slots"], 4)

    def test_a_trace_needs_no_model(self):
        trace = self.write("trace.jsonl", b'{"hash_ids": [0, 1]}\n{"hash_ids": [0, 2]}\n')
        rows = self.report("trace", trace)["rows"]
        self.assertEqual([row["name"] for row in rows], ["trace_infinite"] + 6 * ["trace"])
        self.assertEqual(rows[0]["value"], 1 / 4)
        text = self.experiment("trace", trace)
        self.assertIn("trace of 2 requests, 3 blocks: found with room for all", text.stdout)

    def test_errors(self):
        self.refused("trace", self.write("bad.jsonl", b"{}\n"), says=("line 1", "hash_ids"))
        self.refused("trace", says=("takes the file of a trace",))
        self.refused("engine", "none.gguf", says=("none.gguf",))
        self.refused("engine", says=("./dev run",))  # FOLIO_HOME is empty
        for words in ((), ("slot",), ("paging", "-t", "many"), ("paging", "--kv-cache-dtype", "q8"), ("crowd", "m.gguf")):
            result = self.experiment(*words)
            self.assertNotEqual(result.returncode, 0, words)
            self.assertEqual(result.stdout, "", words)
            self.assertIn("--help", result.stderr, words)


if __name__ == "__main__":
    program.main()
