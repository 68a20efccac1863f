#!/usr/bin/env python3
"""folio bench on a tiny model: what it prints, as a table, JSON and CSV, and what it refuses."""

import csv
import io
import json
import os
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import program  # noqa: E402
from gguf_file import U32, Gguf  # noqa: E402
from program import FIXTURES, STORIES, Case  # noqa: E402

QUANTISED = FIXTURES / "quant-llama" / "model-Q4_1.gguf"
SMALL = ("-p", "32", "-n", "4", "-r", "3", "-t", "2")


class Bench(Case):
    def report(self, *arguments):
        result = self.folio("bench", *arguments, "--json")
        self.assertEqual((result.returncode, result.stderr), (0, b""))
        return json.loads(result.stdout)

    def check_row(self, row):
        self.assertLessEqual(row["tokens_per_s_min"], row["tokens_per_s"])
        self.assertLessEqual(row["tokens_per_s"], row["tokens_per_s_max"])
        self.assertGreater(row["tokens_per_s_min"], 0)
        tokens = row["streams"] * (row["prompt"] if row["test"] == "prefill" else row["generated"])
        self.assertAlmostEqual(row["tokens_per_s"] * row["seconds"], tokens, places=5)
        self.assertGreaterEqual(row["executed_operations"], row["nominal_operations"])
        self.assertAlmostEqual(row["bytes_per_s"] * row["seconds"] / (row["weight_bytes"] + row["kv_bytes"]), 1, places=9)

    def test_every_combination_is_a_row(self):
        report = self.report(STORIES, *SMALL, "-b", "1,3", "-d", "0,40", "--kv-cache-dtype", "f32,bf16", "--no-probe")
        self.assertEqual(report["limits"], [])
        self.assertEqual(report["model"], str(STORIES))
        rows = report["rows"]
        keys = ("kv_cache_dtype", "depth", "streams", "test")
        self.assertEqual([tuple(row[key] for key in keys) for row in rows],
                         [(kv, depth, streams, test) for kv in ("f32", "bf16") for depth in (0, 48) for streams in (1, 3)
                          for test in ("prefill", "decode")])
        for row in rows:
            self.check_row(row)
            self.assertEqual((row["prompt"], row["repetitions"], row["threads"]), (32, 3, 2))
            self.assertEqual(row["generated"], 4 if row["test"] == "decode" else 0)
            for limit in ("share_of_limit", "share_of_nominal_limit", "share_of_bandwidth", "limit_tokens_per_s"):
                self.assertIsNone(row[limit])

    def test_what_holds_for_all_runs_reaches_the_engine(self):
        whole = self.report(STORIES, "-p", "32", "-n", "0", "-r", "1", "--no-probe")
        self.assertEqual(whole["engine"], {"block_tokens": 16, "eviction": "lru", "step_tokens": 512})
        parts = self.report(STORIES, "-p", "32", "-n", "0", "-r", "1", "-d", "40", "--no-probe", "--max-num-batched-tokens", "8",
                            "--block-size", "64", "--eviction", "cost")
        self.assertEqual(parts["engine"], {"block_tokens": 64, "eviction": "cost", "step_tokens": 8})
        self.assertEqual(parts["rows"][0]["depth"], 64)
        self.assertEqual(parts["rows"][0]["weight_bytes"], self.prompt_bytes(whole["rows"][0], steps=4))

    @staticmethod
    def prompt_bytes(row, steps):
        """What so many steps read, one of which wants logits: the output matrix of stories260k, 512 x 64 of f32, once."""
        output = 512 * 64 * 4
        return steps * (row["weight_bytes"] - output) + output

    def test_bytes_and_operations_by_hand(self):
        """stories260k: 5 layers of 64, 8 heads and 4 KV heads of 8, feed-forward 172, 512 tokens; f32 weights."""
        decode = self.report(STORIES, "-p", "0", "-n", "1", "-r", "1", "--kv-cache-dtype", "f32", "--no-probe")["rows"]
        self.assertEqual([row["test"] for row in decode], ["decode"])
        layers = 5 * (2 * 64 * 64 + 2 * 32 * 64 + 3 * 172 * 64)
        # The clock starts behind one token that is given and one that is generated, at position 1: it sees two.
        self.assertEqual(decode[0]["nominal_operations"], 2 * (layers + 512 * 64) + 2 * 4 * 5 * 8 * 8)
        # Panels of 16 outputs: the 172 rows of gate and up are padded to 176.
        padded = 5 * (2 * 64 * 64 + 2 * 32 * 64 + (2 * 176 + 172) * 64)
        self.assertEqual(decode[0]["weight_bytes"], 4 * (padded + 512 * 64))
        # Values are padded to 16 numbers a head.
        self.assertEqual(decode[0]["kv_bytes"], 2 * 5 * 4 * (8 + 16) * 4)

    def test_two_planes_are_twice_the_dot_products(self):
        rows = self.report(QUANTISED, "-p", "16", "-n", "0", "-r", "1", "--activations", "int16,mixed", "--no-probe")["rows"]
        two, one = rows
        self.assertEqual((two["activations"], one["activations"]), ("int16", "mixed"))
        self.assertEqual(two["nominal_operations"], one["nominal_operations"])
        self.assertEqual(one["nominal_operations"], one["executed_operations"])
        self.assertGreater(two["executed_operations"], 1.5 * two["nominal_operations"])
        self.assertEqual(two["weight_bytes"], one["weight_bytes"])

    def test_a_shared_prefix_is_read_once(self):
        rows = self.report(STORIES, "-p", "0", "-n", "4", "-d", "128", "-b", "4", "--shared-prefix", "off,on", "-r", "1",
                           "--no-probe")["rows"]
        own, shared = rows
        self.assertEqual((own["shared_prefix"], shared["shared_prefix"]), (False, True))
        per_token = 5 * 4 * (8 + 16) * 2  # f16
        # In each of four steps three of the four streams find the 128 positions read already.
        self.assertEqual(own["kv_bytes"] - shared["kv_bytes"], 4 * 3 * 128 * per_token)

    def test_limits_and_shares(self):
        report = self.report(QUANTISED, "-p", "16", "-n", "4", "-r", "1", "-t", "1,2")
        self.assertEqual([limits["threads"] for limits in report["limits"]], [1, 2])
        for limits in report["limits"]:
            self.assertIn(limits["isa"], ("reference", "avx2", "avx512"))
            for name in ("dram_bytes_per_s", "last_level_cache_bytes_per_s", "int8_operations_per_s", "f32_operations_per_s"):
                self.assertGreater(limits[name]["one_thread"], 0)
                self.assertGreater(limits[name]["all_threads"], 0)
        for row in report["rows"]:
            self.check_row(row)
            self.assertEqual(row["limiting_memory"], "cache")
            self.assertGreater(row["share_of_limit"], 0)
            self.assertLessEqual(row["share_of_nominal_limit"], row["share_of_limit"])
            self.assertAlmostEqual(row["limit_tokens_per_s"] * row["share_of_limit"] / row["tokens_per_s"], 1, places=9)

    def test_csv_has_the_fields_of_json(self):
        arguments = (STORIES, *SMALL, "--no-probe")
        result = self.folio("bench", *arguments, "--csv")
        self.assertEqual((result.returncode, result.stderr), (0, b""))
        lines = list(csv.DictReader(io.StringIO(result.stdout.decode())))
        rows = self.report(*arguments)["rows"]
        self.assertEqual(len(lines), 2)
        for line, row in zip(lines, rows):
            self.assertEqual(list(line), list(row))
            for key in ("test", "kv_cache_dtype", "activations"):
                self.assertEqual(line[key], row[key])
            self.assertEqual(float(line["nominal_operations"]), row["nominal_operations"])
            self.assertGreater(float(line["tokens_per_s"]), 0)
            self.assertEqual(line["share_of_limit"], "")

    def test_the_table(self):
        result = self.folio("bench", STORIES, *SMALL, "--no-probe", "-d", "16", "-b", "2", "--shared-prefix", "on")
        self.assertEqual(result.returncode, 0, result.stderr)
        text = result.stdout.decode()
        header, prefill, decode = text.rstrip("\n").splitlines()[-3:]
        self.assertEqual(header.split()[:4], ["threads", "kv", "act", "test"])
        self.assertEqual(prefill.split()[3:8], ["prefill", "2", "16*", "32", "-"])
        self.assertEqual(decode.split()[3:8], ["decode", "2", "16*", "32", "4"])
        self.assertEqual(len(prefill), len(header))

    def test_probe_only_needs_no_model(self):
        text = self.folio("bench", "--probe-only", "-t", "1")
        self.assertEqual(text.returncode, 0, text.stderr)
        for words in (b"memory read", b"last-level cache read", b"int8", b"f32", b"GB/s", b"Gop/s"):
            self.assertIn(words, text.stdout)
        report = self.report("--probe-only", "-t", "1")
        self.assertEqual(list(report), ["machine", "limits"])

    def test_the_overview(self):
        gguf = Gguf(STORIES.read_bytes())
        gguf.entries["llama.context_length"] = (U32, struct.pack("<I", 4096))
        model = self.write("long.gguf", gguf.build())
        arguments = ("--overview", "-r", "1", "-t", "2")
        report = self.report(model, *arguments)
        for key in ("load_s", "first_token_s", "weights_bytes", "kv_arena_bytes", "resident_bytes", "peak_load_bytes",
                    "prefill_512_tokens_per_s"):
            self.assertGreater(report[key], 0, key)
        with open("/sys/kernel/mm/transparent_hugepage/enabled") as enabled:
            never = "[never]" in enabled.read()
        self.assertLessEqual(report["huge_page_bytes"], 0 if never else report["resident_bytes"])  # arenas this small may get none
        self.assertEqual([row["context"] for row in report["decode"]], [128, 2048])
        self.assertEqual([row["context"] for row in report["cache_worth"]], [128, 512, 2048])
        for row in report["decode"]:
            dram = report["limits"]["dram_bytes_per_s"]["all_threads"]
            self.assertAlmostEqual(row["share_of_dram"] * dram / row["bytes_per_s"], 1)
        longest = report["cache_worth"][-1]
        self.assertGreater(longest["without_ms"], 4 * longest["with_ms"])
        text = self.folio("bench", model, *arguments).stdout.decode()
        for words in ("memory read, all threads", "prefill, 512 tokens", "decode at  2048 context", "context   2048"):
            self.assertIn(words, text)

    def test_errors(self):
        self.fails("bench", says="./dev run")  # FOLIO_HOME is empty
        self.fails("bench", "none.gguf", says="none.gguf")
        self.fails("bench", STORIES, says=("needs a context of 578", "takes 512"))
        self.fails("bench", STORIES, "-p", "0", "-n", "0", says="--gen above 0")
        self.fails("bench", STORIES, "-p", "8", "--shared-prefix", "on", says="--depth above 0")
        self.fails("bench", STORIES, "--overview", says=("--overview", "512"))
        self.fails("bench", STORIES, "-p", "many", status=2, says="--prompt")
        self.fails("bench", STORIES, "-b", "300", status=2, says="--batch")
        self.fails("bench", STORIES, "--no-prob", status=2, says="did you mean --no-probe")
        self.fails("bench", STORIES, "--engine", status=2, says="./dev bench engine")


if __name__ == "__main__":
    program.main()
