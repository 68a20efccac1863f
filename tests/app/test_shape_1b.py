#!/usr/bin/env python3
"""A model of the size that people run (Llama 3.2 1B's shape, random weights): the same answers however it is computed,
and a load that stays within its bound. Takes minutes: ./dev test --full names the file in FOLIO_TEST_SHAPE_1B."""

import json
import os
import random
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import program  # noqa: E402
from program import Case  # noqa: E402

MODEL = os.environ.get("FOLIO_TEST_SHAPE_1B")
LARGEST_TENSOR = 128256 * 2048 * 34 // 32  # bytes of the tied embedding in Q8_0
WORK_BYTES = 100 << 20  # what a load may take beside the weights and one tensor
KV_TOKENS = 1024


def request(index, prompt, **body):
    return json.dumps({"custom_id": str(index), "method": "POST", "url": "/v1/completions",
                       "body": {"prompt": prompt, "max_tokens": 12, "seed": index, "ignore_eos": True, "logprobs": 3, **body}})


@unittest.skipUnless(MODEL, "the 1B shape: ./dev test --full makes the model")
class Shape1B(Case):
    def answers(self, path, name, *flags, isa):
        """The choices of every request, and the program's peak of memory in bytes."""
        output = self.folder / f"{name}.{isa}.jsonl"
        arguments = [program.FOLIO, "batch", str(path), str(output), "-m", MODEL, "--kv-tokens", str(KV_TOKENS), *flags]
        pid = os.posix_spawn(program.FOLIO, arguments, self.environment(FOLIO_ISA=isa))
        _, status, usage = os.wait4(pid, 0)
        self.assertEqual(os.waitstatus_to_exitcode(status), 0, flags)
        results = {r["custom_id"]: r for r in map(json.loads, output.read_text().splitlines())}
        for result in results.values():
            self.assertIsNone(result["error"])
        return {key: r["response"]["body"]["choices"] for key, r in results.items()}, usage.ru_maxrss * 1024

    def input(self, name, salted):
        """Prompts of one token to many blocks; two begin alike, one asks for two choices. Salted ones share no block."""
        draw = random.Random(7)
        words = [draw.randrange(1000, 100_000) for _ in range(400)]
        prompts = [words[:1], words[:17], words[:180], words[:150] + words[200:230], words[230:390]]
        path = self.folder / name
        lines = [request(i, prompt, temperature=0 if i % 2 else 0.8, n=2 if i == 1 else 1, **({"cache_salt": str(i)} if salted else {}))
                 for i, prompt in enumerate(prompts)]
        path.write_text("\n".join(lines) + "\n")
        return path

    def test_every_batch_gives_the_same_bits(self):
        salted, path = self.input("salted.jsonl", True), self.input("in.jsonl", False)
        with open("/proc/cpuinfo") as cpu:
            flags = cpu.read()
        for isa in ["avx2"] + (["avx512"] if "avx512_vnni" in flags else []):
            with self.subTest(isa=isa):
                alone, peak = self.answers(salted, "alone", "--max-num-seqs", "2", "-t", "1", isa=isa)
                self.assertEqual(len(alone), 5)
                together, _ = self.answers(path, "together", "--max-num-seqs", "8", isa=isa)
                self.assertEqual(together, alone)
                crowded, _ = self.answers(path, "crowded", "--kv-tokens", "432", "--max-num-batched-tokens", "40", isa=isa)
                self.assertEqual(crowded, alone)
                self.assertLess(peak, os.path.getsize(MODEL) + LARGEST_TENSOR + WORK_BYTES + KV_TOKENS * 32768)


if __name__ == "__main__":
    program.main()
