#!/usr/bin/env python3
"""What clients send that is nobody's standard, and what they are told: lengths beyond the context, unknown fields, other
paths, other APIs' errors, compression, silent streams."""

import gzip
import http.client
import json
import pathlib
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import program  # noqa: E402
from program import STORIES  # noqa: E402
from serving import Server, ServerCase  # noqa: E402

CHAT = {"messages": [{"role": "user", "content": "Once"}], "temperature": 0, "max_tokens": 4}


def raw(server, method, path, body=None, headers=None):
    """Status, headers, bytes of a request that nothing has touched."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=60)
    connection.request(method, path, body if isinstance(body, (bytes, type(None))) else json.dumps(body), headers or {})
    answer = connection.getresponse()
    read = answer.status, answer.headers, answer.read()
    connection.close()
    return read


class Lenient(ServerCase):
    arguments = (STORIES, "--enable-tokenizer-info-endpoint")

    def post(self, path, body, headers=None):
        status, headers, text = raw(self.server, "POST", path, body, headers)
        return status, headers, json.loads(text)

    def test_a_length_beyond_the_context_is_lowered(self):
        status, headers, answer = self.post("/v1/completions", {"prompt": "Once", "temperature": 0, "max_tokens": 32000})
        self.assertEqual(status, 200)
        room = 512 - answer["usage"]["prompt_tokens"]
        self.assertEqual(headers["x-folio-clamped"], f"max_tokens={room}")
        self.assertLessEqual(answer["usage"]["completion_tokens"], room)
        self.assertIsNone(self.post("/v1/chat/completions", CHAT)[1]["x-folio-clamped"])
        status, headers, answer = self.post("/v1/completions", {"prompt": "Once", "temperature": 0, "max_tokens": -1})
        self.assertEqual((status, headers["x-folio-clamped"]), (200, None))
        self.assertGreater(answer["usage"]["completion_tokens"], 16)

    def test_a_prompt_beyond_the_context_is_refused(self):
        status, _, answer = self.post("/v1/completions", {"prompt": "a b c " * 400, "max_tokens": 1})
        self.assertEqual((status, answer["error"]["code"], answer["error"]["param"]), (400, "context_length_exceeded", "prompt"))

    def test_unknown_fields_are_named(self):
        body = CHAT | {"mirostat": 2, "keep_alive": "5m", "lora_request": None, "store": True,
                       "messages": [{"role": "user", "content": "Once", "id": "x"}]}
        for stream in (False, True):
            status, headers, _ = raw(self.server, "POST", "/v1/chat/completions", body | {"stream": stream})
            self.assertEqual((status, headers["x-folio-ignored"]), (200, "messages[].id, mirostat, keep_alive, store"))
        self.assertIsNone(self.post("/v1/chat/completions", CHAT)[1]["x-folio-ignored"])

    def test_the_log_names_each_unknown_field_once(self):
        evil = "a\r\nx: y\x1b[31m\u00e9"
        with Server(STORIES) as server:
            for _ in range(3):
                headers = raw(server, "POST", "/v1/chat/completions", CHAT | {"mirostat": 2, evil: 1})[1]
                self.assertEqual(headers["x-folio-ignored"], "mirostat, a??x:?y?[m??")
        self.assertEqual(len([line for line in server.notes if "mirostat" in line]), 1, server.notes)
        self.assertFalse(any("\x1b" in line for line in server.notes))

    def test_fields_that_change_the_answer_are_refused(self):
        status, _, answer = self.post("/v1/chat/completions", CHAT | {"response_format": {"type": "json_object"}})
        self.assertEqual((status, answer["error"]["param"]), (400, "response_format"))

    def test_spellings_of_paths(self):
        for path in ("/chat/completions", "/v1/chat/completions/", "/openai/deployments/any/chat/completions?api-version=1", "/openai/v1/chat/completions"):
            self.assertEqual(self.post(path, CHAT)[0], 200, path)
        self.assertEqual(raw(self.server, "GET", "/models")[0], 200)
        self.assertEqual(raw(self.server, "GET", "/v1/models/")[0], 200)

    def test_errors_in_the_shape_of_the_api_that_was_asked(self):
        status, _, answer = self.post("/v1/messages", {})
        self.assertEqual((status, answer["type"], answer["error"]["type"]), (501, "error", "api_error"))
        status, _, answer = self.post("/api/chat", {})
        self.assertEqual((status, type(answer["error"])), (404, str))

    def test_compression(self):
        status, headers, body = raw(self.server, "GET", "/metrics", headers={"Accept-Encoding": "gzip"})
        self.assertEqual((status, headers["Content-Encoding"]), (200, "gzip"))
        self.assertIn(b"vllm:num_requests_running", gzip.decompress(body))
        self.assertIsNone(raw(self.server, "GET", "/metrics")[1]["Content-Encoding"])
        body = {"prompt": ["Once"] * 40, "max_tokens": 8, "temperature": 0, "logprobs": 5}
        plain = raw(self.server, "POST", "/v1/completions", body)[2]
        status, headers, zipped = raw(self.server, "POST", "/v1/completions", body, {"Accept-Encoding": "gzip, deflate"})
        self.assertEqual((status, headers["Content-Encoding"]), (200, "gzip"))
        self.assertEqual(json.loads(gzip.decompress(zipped))["choices"], json.loads(plain)["choices"])
        status, headers, text = raw(self.server, "POST", "/v1/completions", gzip.compress(b"{}"), {"Content-Encoding": "gzip"})
        self.assertEqual(status, 415)
        self.assertIn("Content-Encoding", json.loads(text)["error"]["message"])

    def test_the_description_allows_what_is_ignored(self):
        schemas = json.loads(raw(self.server, "GET", "/openapi.json")[2])["components"]["schemas"]
        self.assertIs(schemas["ChatRequest"]["additionalProperties"], True)

    def test_tokenizer_info(self):
        info = json.loads(raw(self.server, "GET", "/tokenizer_info")[2])
        self.assertEqual((info["eos_token"], info["model_max_length"]), ("</s>", 512))

    def test_seeds(self):
        body = CHAT | {"temperature": 1.5, "max_tokens": 24, "seed": -1}
        texts = {self.post("/v1/chat/completions", body)[2]["choices"][0]["message"]["content"] for _ in range(4)}
        self.assertGreater(len(texts), 1)


class Strict(ServerCase):
    arguments = (STORIES, "--strict-fields", "--strict-max-tokens")

    def test_refusals(self):
        status, _, text = raw(self.server, "POST", "/v1/chat/completions", CHAT | {"mirostat": 2})
        self.assertEqual((status, json.loads(text)["error"]["param"]), (400, "mirostat"))
        status, _, text = raw(self.server, "POST", "/v1/completions", {"prompt": "Once", "max_tokens": 32000})
        error = json.loads(text)["error"]
        self.assertEqual((status, error["code"]), (400, "context_length_exceeded"))
        self.assertRegex(error["message"], r"'max_tokens' or 'max_completion_tokens' is too large: 32000\. This model's maximum context length "
                                           r"is 512 tokens and your request has (\d+) input tokens \(32000 > 512 - \1\)\.")
        self.assertEqual(raw(self.server, "GET", "/tokenizer_info")[0], 404)


class Defaults(unittest.TestCase):
    def started(self, *arguments):
        with Server(STORIES, *arguments) as server:
            status, _, text = raw(server, "POST", "/v1/chat/completions/render", CHAT | {"temperature": None})
            self.assertEqual(status, 200)
            chat = json.loads(text)["sampling_params"]
            text = json.loads(raw(server, "POST", "/v1/completions/render", {"prompt": "x"})[2])[0]["sampling_params"]
        return "".join(server.notes), chat, text

    def test_what_requests_mean_that_do_not_say(self):
        notes, chat, text = self.started()
        self.assertIn("temperature 0.8, top-k 40, top-p 0.95, min-p 0.05", notes)
        self.assertAlmostEqual(chat["temperature"], 0.8, places=5)
        self.assertEqual((chat["top_k"], text["temperature"], text["top_p"]), (40, 1.0, 1.0))
        notes, chat, _ = self.started("--generation-config", "vllm")
        self.assertEqual((chat["temperature"], chat["min_p"]), (1.0, 0.0))


class SilentStream(ServerCase):
    arguments = (STORIES, "--max-num-seqs", "1")

    def test_a_comment_every_ten_seconds(self):
        """One answer runs, so the second stream is silent until it ends: clients are sent comments meanwhile."""
        busy = http.client.HTTPConnection(self.server.host, self.server.port, timeout=120)
        long_answer = {"prompt": "Once", "max_tokens": 400, "ignore_eos": True, "stream": True, "temperature": 0}
        waiting = http.client.HTTPConnection(self.server.host, self.server.port, timeout=120)
        begin = time.monotonic()
        pings = 0
        busy.request("POST", "/v1/completions", json.dumps(long_answer | {"prompt": ["Once"] * 128}))
        waiting.request("POST", "/v1/completions", json.dumps(long_answer | {"max_tokens": 1}))
        answer = waiting.getresponse()
        while time.monotonic() - begin < 60:
            line = answer.readline()
            if line.startswith(b":"):
                pings += 1
            if line.startswith(b"data: [DONE]") or not line or pings == 2:
                break
        waited = time.monotonic() - begin
        busy.close()
        waiting.close()
        if waited < 11 and pings == 0:
            self.skipTest(f"the stream was not silent for long enough on this machine: {waited:.1f} s")
        self.assertGreaterEqual(pings, 1)


if __name__ == "__main__":
    program.main()
