#!/usr/bin/env python3
"""folio batch: OpenAI batch files in and out, malformed lines, and going on after a kill."""

import json
import os
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import program  # noqa: E402
from program import STORIES, Case  # noqa: E402
from serving import Server  # noqa: E402


def completion(custom_id, prompt="Once upon a time", **body):
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/completions",
            "body": {"model": "tiny", "prompt": prompt, "max_tokens": 20, "temperature": 0, **body}}


def chat(custom_id, content="Hi", **body):
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions",
            "body": {"messages": [{"role": "user", "content": content}], "max_tokens": 12, "temperature": 0, **body}}


class Batch(Case):
    def input(self, *lines):
        path = self.folder / "in.jsonl"
        path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
        return path

    def batch(self, path, *flags, status=0):
        output = self.folder / "out.jsonl"
        result = self.folio("batch", path, output, "-m", STORIES, *flags)
        self.assertEqual(result.returncode, status, result.stderr.decode())
        self.error = result.stderr.decode()
        return [json.loads(line) for line in output.read_text().splitlines()]

    def test_answers_are_those_of_run(self):
        prompts = ["Once upon a time", "Lily went to", "Once upon a time there was"]
        results = self.batch(self.input(*(completion(str(i), p) for i, p in enumerate(prompts))))
        self.assertEqual(sorted(r["custom_id"] for r in results), ["0", "1", "2"])
        for result in results:
            prompt = prompts[int(result["custom_id"])]
            alone = self.folio("run", STORIES, "--raw", "-p", prompt, "--temperature", "0", "-n", "20", "--no-stats")
            self.assertIsNone(result["error"])
            self.assertEqual(result["response"]["status_code"], 200)
            body = result["response"]["body"]
            self.assertEqual(body["choices"][0]["text"] + "\n", alone.stdout.decode())
            self.assertEqual(body["choices"][0]["finish_reason"], "length")
            self.assertEqual(body["usage"]["completion_tokens"], 20)
            self.assertEqual(body["object"], "text_completion")

    def refused(self, path, output, *words):
        result = self.folio("batch", path, output, "-m", STORIES)
        self.assertEqual(result.returncode, 1)
        for word in words:
            self.assertIn(word, result.stderr.decode())

    def test_files_that_are_no_results_stay_as_they_are(self):
        path = self.input(completion("a"))
        for text in ("the only copy of a poem", '{"id":"batch_rex', "line\n", "x"):
            poem = self.folder / "poem.txt"
            poem.write_text(text)
            self.refused(path, poem, "poem.txt", "not a result")
            self.assertEqual(poem.read_text(), text)
        before = path.read_text()
        self.refused(path, path, "in.jsonl", "requests")
        (self.folder / "link.jsonl").symlink_to(path)
        self.refused(path, self.folder / "link.jsonl", "requests")
        self.assertEqual(path.read_text(), before)

    def test_a_torn_result_is_cut_off(self):
        path, output = self.input(completion("a"), completion("b")), self.folder / "out.jsonl"
        for torn in ('{"id":"batch_req_1","custom_', '{"id"', ""):
            output.write_text(torn)
            self.assertEqual({r["custom_id"] for r in self.batch(path)}, {"a", "b"})

    def test_two_batches_do_not_share_an_output(self):
        path, output = self.input(*(completion(str(i), max_tokens=64) for i in range(3000))), self.folder / "out.jsonl"
        first = subprocess.Popen([program.FOLIO, "batch", path, output, "-m", STORIES], stderr=subprocess.PIPE)
        try:
            while not output.exists():
                time.sleep(0.01)
            time.sleep(0.2)
            if first.poll() is None:
                self.refused(path, output, "another folio batch")
        finally:
            first.send_signal(signal.SIGINT)
            first.communicate()
        ids = [json.loads(line)["custom_id"] for line in output.read_text().splitlines()]
        self.assertEqual(len(ids), len(set(ids)))

    def test_notes_of_a_line(self):
        results = self.batch(self.input(completion("a", max_tokens=32000, mirostat=2), completion("b")))
        by_id = {r["custom_id"]: r["response"]["body"] for r in results}
        self.assertEqual(by_id["a"]["folio"]["ignored"], ["mirostat"])
        self.assertEqual(by_id["a"]["folio"]["max_tokens"], 512 - by_id["a"]["usage"]["prompt_tokens"])
        self.assertNotIn("folio", by_id["b"])

    def test_chat_lines_n_and_logprobs(self):
        results = self.batch(self.input(chat("a", n=3, temperature=1, seed=5), chat("b", logprobs=True, top_logprobs=2)))
        by_id = {r["custom_id"]: r["response"]["body"] for r in results}
        self.assertEqual([c["index"] for c in by_id["a"]["choices"]], [0, 1, 2])
        self.assertEqual(by_id["a"]["seed"], 5)
        self.assertEqual(by_id["a"]["choices"][0]["message"]["role"], "assistant")
        content = by_id["b"]["choices"][0]["logprobs"]["content"]
        self.assertEqual(len(content), by_id["b"]["usage"]["completion_tokens"])
        self.assertEqual(content[0]["top_logprobs"][0], {key: value for key, value in content[0].items() if key != "top_logprobs"})
        self.assertLessEqual(content[0]["logprob"], 0)

    def test_answers_are_those_of_the_server(self):
        """One code reads bodies and writes answers: what differs is the id, the time, and the seed that a file keeps."""
        bodies = [
            ("/v1/completions", {"prompt": ["Once upon a time", "One day"], "n": 2, "max_tokens": 8, "seed": 4, "logprobs": 2, "echo": True}),
            ("/v1/completions", {"prompt": [5, 6, 7, 8], "max_tokens": 3, "temperature": 0, "prompt_logprobs": 1, "return_token_ids": True}),
            ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 6, "temperature": 0, "logprobs": True, "top_logprobs": 2,
                                      "return_tokens_as_token_ids": True, "stop": ["zzz"]}),
            ("/v1/chat/completions", {"messages": [{"role": "developer", "content": [{"type": "text", "text": "Hi"}]}], "max_tokens": 4, "temperature": 0,
                                      "prompt_logprobs": 0, "stream": False}),
            ("/v1/embeddings", {"input": ["Once", "upon", "a time"]}),
            ("/v1/embeddings", {"input": [5, 6, 7], "encoding_format": "base64", "normalize": False})]
        bodies = [(url, body | {"model": "stories", "cache_salt": str(i)}) for i, (url, body) in enumerate(bodies)]
        lines = [{"custom_id": str(i), "method": "POST", "url": url, "body": body} for i, (url, body) in enumerate(bodies)]
        results = {r["custom_id"]: r["response"]["body"] for r in self.batch(self.input(*lines))}
        with Server(STORIES, "--served-model-name", "stories") as server:
            for i, (url, body) in enumerate(bodies):
                status, _, expected = server.ask("POST", url, body)
                self.assertEqual(status, 200, expected)
                got = results[str(i)]
                self.assertEqual(got.pop("seed", None) is None, url == "/v1/embeddings")
                for answer in (got, expected):
                    del answer["id"], answer["created"]
                self.assertEqual(got, expected, url)

    def test_embedding_lines(self):
        line = {"custom_id": "e", "method": "POST", "url": "/v1/embeddings", "body": {"input": ["There was a dog"] * 300, "encoding_format": "float"}}
        body = self.batch(self.input(line, completion("a")), "--pooling-type", "mean", "--max-num-seqs", "8")
        data = next(r for r in body if r["custom_id"] == "e")["response"]["body"]["data"]
        self.assertEqual([entry["index"] for entry in data], list(range(300)))
        self.assertEqual(len({tuple(entry["embedding"]) for entry in data}), 1)
        self.assertRegex(self.error, r"2 answered, 0 refused, 0 done before; prompts \d+ tokens")

    def test_what_begins_alike_is_computed_once(self):
        story = "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. " * 3
        lines = [completion(str(i), (story if i % 2 else "Tom said ") + str(i)) for i in range(20)]
        results = self.batch(self.input(*lines), "--max-num-seqs", "4", "--kv-tokens", "1024")
        cached = {int(r["custom_id"]): r["response"]["body"]["usage"]["prompt_tokens_details"]["cached_tokens"]
                  for r in results}
        self.assertEqual(sum(1 for i in range(1, 20, 2) if cached[i] < 50), 1, cached)
        self.assertRegex(self.error, r"20 answered, 0 refused, 0 done before; prompts \d+ tokens, [1-9]\d* from the cache")

    def test_a_user_with_many_requests_does_not_hold_up_another(self):
        lines = [completion(f"many {i}", f"A{i}", user="many", max_tokens=60, ignore_eos=True) for i in range(12)]
        path = self.input(*lines, completion("one", "Zebras", user="one", max_tokens=60, ignore_eos=True))  # last in the order of prompts
        orders = {}
        for flags in ((), ("--fair-users",)):
            results = self.batch(path, "--max-num-seqs", "1", *flags)
            orders[flags] = [r["custom_id"] for r in results].index("one")
            (self.folder / "out.jsonl").unlink()
        self.assertLessEqual(orders[("--fair-users",)], 2, orders)
        self.assertGreater(orders[()], 5, orders)

    def test_a_bad_line_is_reported_and_the_rest_goes_on(self):
        results = self.batch(self.input(
            completion("good"), "{broken", "[1]", json.dumps({"custom_id": "x", "method": "GET", "url": "/v1/completions"}),
            completion("hot", temperature=-1), completion("odd", best_of=2), completion("good"), "",
            completion("long", "word " * 2000), completion("n", n=1000), {"method": "POST"}, completion("last"),
            completion("type", max_tokens="ten"), completion("bias", logit_bias={"x": 1}),
            '{"custom_id": "deep", "body": {"messages": ' + "[" * 200_000 + "]" * 200_000 + "}}"))
        self.assertEqual(len(results), 14)
        by_line = {int(r["id"].removeprefix("batch_req_")): r for r in results}
        for line, custom_id, says in ((2, None, "the line"), (15, None, "the line"), (3, None, "not a JSON object"),
                                      (4, "x", "POST and /v1/"), (5, "hot", "'temperature' takes a number"), (6, "odd", "'best_of'"),
                                      (7, "good", "used before"), (9, "long", "tokens"), (10, "n", "'n' takes a whole number"),
                                      (11, None, "custom_id"), (13, "type", "'max_tokens' takes a whole number"),
                                      (14, "bias", "'logit_bias'")):
            self.assertEqual(by_line[line]["custom_id"], custom_id)
            self.assertIsNone(by_line[line]["response"])
            self.assertIn(says, by_line[line]["error"]["message"])
            self.assertTrue(by_line[line]["error"]["message"].startswith(f"line {line}: "))
        for line in (1, 12):
            self.assertIsNone(by_line[line]["error"])

    def test_goes_on_after_a_kill_and_loses_and_doubles_nothing(self):
        lines = [completion(f"r{i}", f"Once there were {i}", max_tokens=200, ignore_eos=True) for i in range(60)]
        path, output = self.input(*lines), self.folder / "out.jsonl"
        whole = {r["custom_id"]: r["response"]["body"]["choices"][0]["text"] for r in self.batch(path)}
        output.unlink()
        with subprocess.Popen([program.FOLIO, "batch", path, output, "-m", STORIES, "--max-num-seqs", "4"],
                              stderr=subprocess.DEVNULL, env=self.environment()) as process:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline and (not output.exists() or output.read_bytes().count(b"\n") < 5):
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
        done = output.read_bytes().count(b"\n")
        self.assertTrue(5 <= done < 60, done)
        with open(output, "ab") as file:
            file.write(b'{"id": "batch_req_60", "custom_id": "r5')  # as a kill may leave it
        results = self.batch(path)
        self.assertIn(f"{60 - done} answered, 0 refused, {done} done before", self.error)
        self.assertEqual(len(results), 60)
        self.assertEqual({r["custom_id"]: r["response"]["body"]["choices"][0]["text"] for r in results}, whole)
        before = output.read_bytes()
        self.batch(path)
        self.assertEqual(output.read_bytes(), before)

    def test_ctrl_c_ends_it_and_the_same_command_goes_on(self):
        lines = [completion(f"r{i}", f"Once there were {i}", max_tokens=200, ignore_eos=True) for i in range(60)]
        path, output = self.input(*lines), self.folder / "out.jsonl"
        with subprocess.Popen([program.FOLIO, "batch", path, output, "-m", STORIES, "--max-num-seqs", "4"],
                              stderr=subprocess.PIPE, env=self.environment()) as process:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline and (not output.exists() or output.read_bytes().count(b"\n") < 5):
                time.sleep(0.005)
            process.send_signal(signal.SIGINT)
            error = process.stderr.read().decode()
            self.assertEqual(process.wait(60), 130)
        self.assertIn("the same command goes on", error)
        done = output.read_bytes().count(b"\n")
        self.assertTrue(5 <= done < 60, done)
        self.assertEqual(len(self.batch(path)), 60)
        self.assertIn(f"{60 - done} answered, 0 refused, {done} done before", self.error)

    def test_refuses_an_output_of_something_else(self):
        path = self.input(completion("a"))
        output = self.write("out.jsonl", "my diary\n")
        self.fails("batch", path, output, "-m", STORIES, says=["line 1 is not a result of folio batch"])
        self.assertEqual(output.read_text(), "my diary\n")
        output.unlink()
        self.batch(path)
        other = self.input(completion("b"))
        self.fails("batch", other, output, "-m", STORIES, says=["about 'a', not 'b'"])

    def test_command_line(self):
        self.fails("batch", status=2, says=["two files"])
        self.fails("batch", "/nowhere.jsonl", self.folder / "out.jsonl", "-m", STORIES, says=["/nowhere.jsonl", "no such file"])
        path = self.input(completion("a"))
        self.fails("batch", path, self.folder / "o.jsonl", "-m", STORIES, "--max-num-seqs", "0", status=2,
                   says=["--max-num-seqs"])
        self.fails("batch", path, self.folder / "o.jsonl", "-m", STORIES, "--max-num-seqs", "40",
                   "--max-num-batched-tokens", "30", says=["--max-num-batched-tokens 30"])


if __name__ == "__main__":
    program.main()
