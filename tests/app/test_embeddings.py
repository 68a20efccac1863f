#!/usr/bin/env python3
"""/v1/embeddings as its clients meet it: the openai package, the API's shape, pooling, and what is refused."""

import asyncio
import json
import math
import os
import struct
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import serving  # noqa: E402

serving.use_clients()

import jsonschema  # noqa: E402
import openai  # noqa: E402

import program  # noqa: E402
from program import STORIES, default_model  # noqa: E402
from serving import Server, ServerCase, post, wait_until  # noqa: E402

WIDTH = 64  # of STORIES' hidden states
PATH = "/v1/embeddings"
# CreateEmbeddingResponse of the published description; base64 is the request's to choose.
RESPONSE = {
    "type": "object", "required": ["object", "model", "data", "usage"],
    "properties": {
        "object": {"const": "list"}, "model": {"type": "string"},
        "data": {"type": "array", "items": {
            "type": "object", "required": ["index", "object", "embedding"],
            "properties": {"index": {"type": "integer"}, "object": {"const": "embedding"},
                           "embedding": {"type": "array", "items": {"type": "number"}}}}},
        "usage": {"type": "object", "required": ["prompt_tokens", "total_tokens"],
                  "properties": {"prompt_tokens": {"type": "integer"}, "total_tokens": {"type": "integer"}}}}}


def as_floats(vector):
    return [struct.unpack("<f", struct.pack("<f", value))[0] for value in vector]


def length(vector):
    return math.sqrt(sum(value * value for value in vector))


class Clients(ServerCase):
    arguments = (STORIES, "--served-model-name", "stories", "--strict-fields")

    def setUp(self):
        self.client = openai.OpenAI(base_url=self.server.url + "/v1", api_key="none", max_retries=0)
        self.addCleanup(self.client.close)

    def embed(self, texts, **fields):
        return self.client.embeddings.create(model="stories", input=texts, **fields)

    def test_a_text_in_both_formats(self):
        coded = self.embed("Once upon a time")  # the client asks for base64 and decodes it
        plain = self.embed("Once upon a time", encoding_format="float")
        self.assertEqual(coded.data[0].embedding, as_floats(plain.data[0].embedding), "bit for bit")
        self.assertEqual((coded.object, coded.model, coded.data[0].object), ("list", "stories", "embedding"))
        self.assertEqual(len(plain.data[0].embedding), WIDTH)
        self.assertAlmostEqual(length(plain.data[0].embedding), 1, places=6)
        tokens = self.server.ask("POST", "/tokenize", {"prompt": "Once upon a time"})[2]
        self.assertEqual(plain.usage.prompt_tokens, tokens["count"])
        self.assertEqual(plain.usage.total_tokens, tokens["count"])
        self.assertEqual(self.embed(tokens["tokens"]).data[0].embedding, coded.data[0].embedding)
        raw = self.server.ask("POST", PATH, {"input": "Once", "encoding_format": "base64"})[2]
        self.assertIsInstance(raw["data"][0]["embedding"], str)

    def test_many_inputs_keep_their_order(self):
        texts = [f"There were {i} dogs in the park" for i in range(150)]  # more than run at once
        together = self.embed(texts)
        self.assertEqual([entry.index for entry in together.data], list(range(150)))
        for i in (0, 63, 64, 149):
            self.assertEqual(together.data[i].embedding, self.embed(texts[i]).data[0].embedding, i)
        self.assertEqual(len({tuple(entry.embedding) for entry in together.data}), 150)
        lists = [self.server.ask("POST", "/tokenize", {"prompt": text})[2]["tokens"] for text in texts[:3]]
        by_token = self.embed(lists)
        self.assertEqual([e.embedding for e in by_token.data], [e.embedding for e in together.data[:3]])
        self.assertEqual(by_token.usage.prompt_tokens, sum(map(len, lists)))

    def test_neighbours_do_not_show(self):
        alone = self.embed("A little girl named Lily").data[0].embedding

        async def ask_all():
            async with openai.AsyncOpenAI(base_url=self.server.url + "/v1", api_key="none") as client:
                async def talk(seed):
                    return await client.completions.create(model="stories", prompt="One day", max_tokens=60, seed=seed)
                async def embed():
                    answer = await client.embeddings.create(model="stories", input="A little girl named Lily")
                    return answer.data[0].embedding
                return await asyncio.gather(*(talk(i) for i in range(6)), *(embed() for _ in range(6)))
        self.assertEqual(asyncio.run(ask_all())[6:], [alone] * 6)

    def test_the_last_token_reuses_the_prefix(self):
        text = "Tom and Lily went to the big park. They saw a dog and a cat. " * 4
        usage = [self.embed(text, extra_body={"cache_salt": "a"}).usage for _ in range(2)]
        self.assertEqual(usage[0].prompt_tokens_details["cached_tokens"], 0)
        self.assertEqual(usage[1].prompt_tokens_details["cached_tokens"], (usage[1].prompt_tokens - 1) // 16 * 16)
        other = self.embed(text, extra_body={"cache_salt": "b"}).usage
        self.assertEqual(other.prompt_tokens_details["cached_tokens"], 0)

    def test_special_tokens_and_cutting(self):
        bare = self.embed("Once", extra_body={"add_special_tokens": False})
        self.assertEqual(bare.usage.prompt_tokens + 1, self.embed("Once").usage.prompt_tokens)
        ids = list(range(300, 340))
        cut = self.embed(ids, extra_body={"truncate_prompt_tokens": 10})
        self.assertEqual(cut.data[0].embedding, self.embed(ids[-10:]).data[0].embedding)
        self.assertEqual(self.embed([5] * 600, extra_body={"truncate_prompt_tokens": -1}).usage.prompt_tokens, 512)
        self.assertEqual(self.embed([5] * 512).usage.prompt_tokens, 512)

    def test_the_answer_has_the_published_shape(self):
        status, headers, answer = self.server.ask("POST", PATH, {"input": ["a", "b"], "user": "me", "dimensions": WIDTH, "request_id": "x7"})
        self.assertEqual(status, 200)
        jsonschema.Draft202012Validator(RESPONSE).validate(answer)
        openai.types.CreateEmbeddingResponse.model_validate(answer, strict=True)
        self.assertEqual(answer["id"], "embd-x7")
        self.assertIn("X-Request-Id", headers)

    def test_refusals(self):
        base = {"input": "Once"}
        for field, value in (("dimensions", 32), ("encoding_format", "hex"), ("input", []), ("input", {}), ("input", [1, "a"]), ("input", [99999]),
                             ("input", ["x"] * 2049), ("priority", 1), ("messages", [{"role": "user", "content": "x"}]), ("temperature", 1),
                             ("truncate_prompt_tokens", 0), ("cache_salt", ""), ("frobnicate", 1), ("embed_dtype", "float16")):
            self.refused(PATH, base | {field: value}, param=field)
        self.refused(PATH, {"model": "stories"}, param="input", says="missing")
        self.refused(PATH, base | {"model": "gpt-4"}, status=404, param="model", says="stories")
        error = self.refused(PATH, {"input": ["ok", [5] * 513]}, param="input", says="513")
        self.assertEqual(error["code"], "context_length_exceeded")
        self.assertIn("512", error["message"])
        with self.assertRaises(openai.BadRequestError) as caught:
            self.embed("Once", dimensions=7)
        self.assertEqual(caught.exception.body["param"], "dimensions")

    def test_a_client_that_goes_away_leaves_nothing_behind(self):
        before = self.server.metric("vllm:request_success_total")
        with self.server.connect() as connection:
            connection.sendall(post(PATH, {"input": [[5 + i % 200] * 500 for i in range(400)]}))
            wait_until(lambda: self.server.metric("vllm:num_requests_running") > 0, what="the first input")
        wait_until(lambda: self.server.metric("vllm:num_requests_running") + self.server.metric("vllm:num_requests_waiting") == 0
                   and self.server.ask("GET", "/load")[2]["server_load"] == 0, what="the end of the cancelled ones")
        self.assertLess(self.server.metric("vllm:request_success_total") - before, 400)
        self.assertEqual(len(self.embed("Once").data), 1)

    def test_the_description_has_it(self):
        document = self.server.ask("GET", "/openapi.json")[2]
        self.assertIn(PATH, document["paths"])
        schemas = document["components"]["schemas"]
        validator = jsonschema.Draft202012Validator({"$ref": "#/components/schemas/EmbeddingRequest", "components": {"schemas": schemas}})
        validator.validate({"input": ["x"] * 2048, "encoding_format": "base64", "dimensions": None})
        for bad in ({}, {"input": ["x"] * 2049}, {"input": "x", "encoding_format": "hex"}, {"input": "x", "temperature": 1}):
            self.assertFalse(validator.is_valid(bad), str(bad)[:80])


class Pooling(unittest.TestCase):
    """The mean, as one server gives it, is the mean of what another gives for the last token of every beginning."""

    def test_mean(self):
        plain = {"encoding_format": "float", "normalize": False}
        with Server(STORIES, "--pooling-type", "mean") as mean, Server(STORIES) as last:
            ids = mean.ask("POST", "/tokenize", {"prompt": "Once upon a time there was a little girl"})[2]["tokens"]
            rows = [entry["embedding"] for entry in
                    last.ask("POST", PATH, {"input": [ids[:i + 1] for i in range(len(ids))]} | plain)[2]["data"]]
            for _ in range(2):
                answer = mean.ask("POST", PATH, {"input": ids} | plain)[2]
                self.assertEqual(answer["usage"]["prompt_tokens_details"]["cached_tokens"], 0, "every row is wanted")
                for i, value in enumerate(answer["data"][0]["embedding"]):
                    self.assertAlmostEqual(value, sum(row[i] for row in rows) / len(rows), places=6)
            unit = mean.ask("POST", PATH, {"input": ids})[2]["data"][0]["embedding"]
            raw = answer["data"][0]["embedding"]
            for value, of_raw in zip(unit, raw):
                self.assertAlmostEqual(value, of_raw / length(raw), places=6)

    def test_as_vllm_sets_it_up(self):
        config = json.dumps({"pooling_type": "MEAN", "normalize": False})
        with Server(STORIES, "--pooler-config", config, "--runner", "pooling", "--convert", "embed") as server:
            vector = server.ask("POST", PATH, {"input": "Once upon a time"})[2]["data"][0]["embedding"]
            self.assertNotAlmostEqual(length(vector), 1, places=2)
            self.assertTrue(any("--runner changes nothing" in note for note in server.notes))


class RealModel(unittest.TestCase):
    def test_what_is_alike_is_near(self):
        with Server(default_model(), "--pooling-type", "mean") as server:
            texts = ["The cat sleeps on the sofa.", "A kitten is napping on the couch.", "Interest rates rose by half a percent."]
            vectors = [entry["embedding"] for entry in server.ask("POST", PATH, {"input": texts})[2]["data"]]

            def near(a, b):
                return sum(x * y for x, y in zip(vectors[a], vectors[b]))
            self.assertGreater(near(0, 1), near(0, 2))


if __name__ == "__main__":
    program.main()
