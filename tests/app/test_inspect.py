#!/usr/bin/env python3
"""folio inspect, as text and as JSON."""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import program  # noqa: E402
from gguf_file import Gguf  # noqa: E402
from program import FIXTURES, STORIES, Case  # noqa: E402


class Inspect(Case):
    def report(self, *arguments):
        result = self.folio("inspect", *arguments, "--json")
        self.assertEqual((result.returncode, result.stderr), (0, b""))
        return json.loads(result.stdout)

    def test_a_gguf_file(self):
        report = self.report(STORIES)
        self.assertEqual(list(report), ["model", "metadata", "tensors", "tokenizer", "template", "kv", "cpu"])
        config = report["model"]["config"]
        self.assertEqual((config["layers"], config["hidden"], config["heads"], config["kv_heads"], config["vocab"]), (5, 64, 8, 4, 512))
        self.assertEqual(report["metadata"]["general.architecture"], {"type": "string", "value": "llama"})
        tokens = report["metadata"]["tokenizer.ggml.tokens"]["value"]
        self.assertEqual((tokens["elements"], len(tokens["first"])), (512, 8))
        tensors = report["tensors"]
        self.assertEqual(sum(t["bytes"] for t in tensors["list"]), tensors["bytes"])
        self.assertEqual(sum(t["count"] for t in tensors["by_type"]), tensors["count"])
        self.assertEqual(report["tokenizer"]["vocab_size"], 512)
        self.assertEqual(report["template"]["name"], "transcript (fallback)")

    def test_kv_geometry_is_the_formula(self):
        for dtype, size in (("f32", 4), ("f16", 2), ("bf16", 2)):
            kv = self.report(STORIES, "--only", "kv", "--kv-cache-dtype", dtype, "--block-size", "32")["kv"]
            # 2 x layers x KV heads x (head size, values padded to 16) x bytes
            numbers = 5 * 4 * (8 + 16)
            self.assertEqual(kv["bytes_per_token"], numbers * size)
            self.assertEqual(kv["bytes_per_block"], numbers * size * 32)
            self.assertEqual((kv["context_tokens"], kv["blocks"]), (512, 16))
            self.assertEqual(kv["bytes"], kv["blocks"] * kv["bytes_per_block"])
            self.assertIn("5 layers", kv["formula"])

    def test_a_hugging_face_directory(self):
        report = self.report(FIXTURES / "llama-gqa")
        self.assertEqual(report["model"]["config"]["architecture"], "LlamaForCausalLM")
        self.assertEqual(report["metadata"]["model_type"], "llama")
        self.assertEqual(report["tokenizer"]["kind"], "none")

    def test_text_has_the_same_facts(self):
        text = self.folio("inspect", STORIES).stdout.decode()
        for fact in ("\nmetadata\n", "general.architecture = llama", "token_embd.weight", "[512, 64]", "bytes per block",
                     "transcript (fallback)", "\ncpu\n", "chosen"):
            self.assertIn(fact, text)
        self.assertNotIn("\x1b", text)

    def test_the_machine_alone(self):
        for arguments in ([], ["--only", "cpu"]):
            report = self.report(*arguments)
            self.assertEqual(list(report), ["cpu"])
            kernels = report["cpu"]["kernels"]
            self.assertIn("reference", kernels["built"])
            self.assertIn(kernels["chosen"], kernels["available"])
            self.assertGreaterEqual(report["cpu"]["threads"], 1)

    def test_an_architecture_that_cannot_run_is_shown(self):
        model = self.write("x.gguf", Gguf(STORIES.read_bytes()).set("general.architecture", "mamba").build())
        report = self.report(model)
        self.assertIn("mamba", report["model"]["config"]["error"])
        self.assertIn("llama", report["kv"]["error"])
        self.assertGreater(report["tensors"]["count"], 40)

    def test_hostile_texts(self):
        gguf = Gguf(STORIES.read_bytes()).set("general.name", b"\xff\x1b[2Jname\n").set("general.description", "x" * 5000)
        model = self.write("x.gguf", gguf.build())
        text = self.folio("inspect", model)
        self.assertEqual(text.returncode, 0)
        self.assertNotIn(b"\x1b", text.stdout)
        text.stdout.decode()  # is UTF-8
        self.assertIn(b"5000 bytes in all", text.stdout)
        self.assertIn("name", self.report(model, "--only", "metadata")["metadata"]["general.name"]["value"])

    def test_errors(self):
        self.fails("inspect", "none.gguf", says="none.gguf")
        self.fails("inspect", "--only", "tensors", says="./dev run")
        self.fails("inspect", self.write("cut.gguf", STORIES.read_bytes()[:5000]), says="cut.gguf")
        self.fails("inspect", "--only", "everything", status=2, says="--only")

    def test_only_headers_are_read(self):
        """A file whose tensors lie in a hole of 64 GB is shown at once."""
        gguf = Gguf(STORIES.read_bytes())
        whole = gguf.build()
        path = self.write("x.gguf", whole[:len(whole) - len(gguf.data)])
        os.truncate(path, len(whole) + (64 << 30))
        self.assertEqual(self.folio("inspect", path, timeout=20).returncode, 0)


if __name__ == "__main__":
    program.main()
