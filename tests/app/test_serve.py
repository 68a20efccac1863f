#!/usr/bin/env python3
"""folio serve as its clients meet it: the openai package, the API's schemas, prometheus-client's parser."""

import asyncio
import json
import math
import os
import pathlib
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import serving  # noqa: E402

serving.use_clients()

import jsonschema  # noqa: E402
import openai  # noqa: E402
from prometheus_client.parser import text_string_to_metric_families  # noqa: E402

import program  # noqa: E402
from program import FIXTURES, STORIES, default_model  # noqa: E402
from serving import Server, ServerCase  # noqa: E402

GOLDEN = (FIXTURES / "stories260k" / "golden.txt").read_text()
HELLO = [{"role": "user", "content": "Hello"}]


def schema(name):
    """A validator of the API's published schemas; None where they are not at hand."""
    shared = os.environ.get("FOLIO_SHARED")
    path = pathlib.Path(shared or ".") / "data" / "openai" / f"{name}.schema.json"
    if not shared:
        return None
    return jsonschema.Draft202012Validator(json.loads(path.read_text()))


class Clients(ServerCase):
    arguments = (STORIES, "--served-model-name", "stories", "--generation-config", "vllm")

    def setUp(self):
        self.client = openai.OpenAI(base_url=self.server.url + "/v1", api_key="none", max_retries=0)
        self.addCleanup(self.client.close)

    def complete(self, **fields):
        return self.client.completions.create(**({"model": "stories", "prompt": "Once upon a time", "temperature": 0, "max_tokens": 30} | fields))

    def test_models(self):
        models = self.client.models.list().data
        self.assertEqual([model.id for model in models], ["stories"])
        self.assertEqual(models[0].max_model_len, 512)
        self.assertEqual(self.client.models.retrieve("stories").id, "stories")
        with self.assertRaises(openai.NotFoundError) as caught:
            self.client.models.retrieve("gpt-4")
        self.assertIn("stories", caught.exception.body["message"])

    def test_the_published_text(self):
        bos = self.server.ask("POST", "/tokenize", {"prompt": ""})[2]["tokens"]
        answer = self.complete(prompt=bos, max_tokens=200)
        self.assertEqual(answer.choices[0].text, GOLDEN)

    def test_whole_and_streamed_are_the_same(self):
        whole = self.complete()
        pieces = list(self.complete(stream=True, stream_options={"include_usage": True}))
        self.assertEqual("".join(p.choices[0].text for p in pieces if p.choices), whole.choices[0].text)
        self.assertEqual(pieces[-1].choices, [])
        self.assertEqual(pieces[-1].usage.completion_tokens, whole.usage.completion_tokens)
        self.assertTrue(all(p.usage is None for p in pieces[:-1]))
        self.assertEqual([p.choices[0].finish_reason for p in pieces[:-1]][-1], "length")
        counts = [p.usage.completion_tokens for p in self.complete(stream=True, stream_options={"continuous_usage_stats": True})]
        self.assertEqual(counts, sorted(counts))
        self.assertEqual(counts[-1], 30)

    def test_beam_search(self):
        def search(**fields):
            return self.complete(n=4, logprobs=2, extra_body={"use_beam_search": True} | fields.pop("extra_body", {}), **fields)

        found = search()
        self.assertEqual(len({choice.text for choice in found.choices}), 4)
        sums = [sum(choice.logprobs.token_logprobs) for choice in found.choices]
        self.assertEqual(sums, sorted(sums, reverse=True))  # of one length: best first
        greedy = self.complete(logprobs=0)
        self.assertGreaterEqual(sums[0], sum(greedy.choices[0].logprobs.token_logprobs))
        self.assertEqual([c.text for c in search().choices], [c.text for c in found.choices])
        self.assertEqual(self.complete(extra_body={"use_beam_search": True}).choices[0].text, greedy.choices[0].text)
        texts = ["", "", "", ""]
        for piece in search(stream=True):
            for choice in piece.choices:
                texts[choice.index] += choice.text
        self.assertEqual(texts, [c.text for c in found.choices])
        with self.assertRaises(openai.BadRequestError) as caught:
            search(temperature=0.5)
        self.assertEqual(caught.exception.body["param"], "temperature")

    def test_chat(self):
        whole = self.client.chat.completions.create(model="stories", messages=HELLO, temperature=0, max_completion_tokens=20)
        self.assertEqual(whole.choices[0].message.role, "assistant")
        pieces = list(self.client.chat.completions.create(model="stories", messages=HELLO, temperature=0, max_tokens=20, stream=True))
        self.assertEqual(pieces[0].choices[0].delta.role, "assistant")
        self.assertEqual("".join(p.choices[0].delta.content or "" for p in pieces), whole.choices[0].message.content)
        parts = [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]
        again = self.client.chat.completions.create(model="stories", messages=parts, temperature=0, max_tokens=20)
        self.assertEqual(again.choices[0].message.content, whole.choices[0].message.content)

    def test_many_at_once(self):
        async def ask_all():
            async with openai.AsyncOpenAI(base_url=self.server.url + "/v1", api_key="none") as client:
                async def one(seed):
                    stream = await client.completions.create(model="stories", prompt="One day", max_tokens=40, seed=seed, stream=True)
                    return "".join([piece.choices[0].text async for piece in stream])
                return await asyncio.gather(*(one(seed % 8) for seed in range(32)))
        texts = asyncio.run(ask_all())
        self.assertEqual(texts[:8] * 4, texts, "an answer depends on its seed, not on its company")
        self.assertGreater(len(set(texts)), 4)

    def test_cached_tokens_are_those_really_read(self):
        prompt = "Tom and Lily went to the big park. They saw a dog and a cat. " * 4
        salted = {"cache_salt": "a"}
        first, second = (self.complete(prompt=prompt, extra_body=salted).usage for _ in range(2))
        self.assertEqual(first.prompt_tokens_details.cached_tokens, 0)
        self.assertEqual(second.prompt_tokens_details.cached_tokens, second.prompt_tokens - 1, "parts of blocks too")
        other = self.complete(prompt=prompt, extra_body={"cache_salt": "b"}).usage
        self.assertEqual(other.prompt_tokens_details.cached_tokens, 0)

    def test_several_prompts(self):
        answer = self.complete(prompt=["Once upon a time", "One day"], max_tokens=5)
        self.assertEqual([c.index for c in answer.choices], [0, 1])
        self.assertEqual(answer.choices[1].text, self.complete(prompt="One day", max_tokens=5).choices[0].text)
        self.assertEqual(answer.usage.completion_tokens, 10)

    def test_several_answers(self):
        whole = self.complete(n=3, temperature=1.5, seed=4, max_tokens=30)
        self.assertEqual([c.index for c in whole.choices], [0, 1, 2])
        self.assertEqual(len({c.text for c in whole.choices}), 3)
        self.assertEqual(whole.choices[0].text, self.complete(temperature=1.5, seed=4, max_tokens=30).choices[0].text)
        self.assertEqual(whole.usage.completion_tokens, 90)
        self.assertEqual(whole.usage.prompt_tokens, self.complete().usage.prompt_tokens)
        texts = ["", "", ""]
        for piece in self.complete(n=3, temperature=1.5, seed=4, max_tokens=30, stream=True):
            texts[piece.choices[0].index] += piece.choices[0].text
        self.assertEqual(texts, [c.text for c in whole.choices])
        two = self.complete(prompt=["Once", "One day"], n=2, max_tokens=3)
        self.assertEqual([c.index for c in two.choices], [0, 1, 2, 3])

    def test_stop_texts_across_tokens(self):
        text = self.complete(max_tokens=60).choices[0].text
        stop = text[20:27]
        answer = self.complete(max_tokens=60, stop=["no such text", stop])
        self.assertEqual(answer.choices[0].text, text[:text.index(stop)])
        self.assertEqual(answer.choices[0].finish_reason, "stop")
        streamed = "".join(p.choices[0].text for p in self.complete(max_tokens=60, stop=stop, stream=True))
        self.assertEqual(streamed, answer.choices[0].text)

    def test_sampling(self):
        def text(**fields):
            return self.complete(temperature=1.0, **fields).choices[0].text
        self.assertEqual(text(seed=5), text(seed=5))
        self.assertNotEqual(text(seed=5), text(seed=6))
        self.assertNotEqual(text(), text())
        greedy = self.complete().choices[0].text
        self.assertEqual(text(seed=1, extra_body={"top_k": 1}), greedy)
        self.assertEqual(text(seed=1, top_p=1e-6), greedy)
        self.assertEqual(text(seed=1, extra_body={"min_p": 1}), greedy)
        self.assertNotEqual(self.complete(frequency_penalty=2).choices[0].text, greedy)

    def test_logprobs(self):
        answer = self.complete(max_tokens=6, logprobs=3).choices[0]
        self.assertEqual("".join(answer.logprobs.tokens), answer.text)
        for chosen, top in zip(answer.logprobs.token_logprobs, answer.logprobs.top_logprobs):
            self.assertEqual(len(top), 3)
            self.assertEqual(chosen, max(top.values()), "temperature 0 takes the most likely")
            self.assertLess(sum(math.exp(value) for value in top.values()), 1.001)
        self.assertEqual(answer.logprobs.text_offset[:2], [0, len(answer.logprobs.tokens[0])])
        streamed = [p.choices[0].logprobs for p in self.complete(max_tokens=6, logprobs=3, stream=True) if p.choices[0].logprobs]
        self.assertEqual(sum((p.token_logprobs for p in streamed), []), answer.logprobs.token_logprobs)
        self.assertEqual(sum((p.text_offset for p in streamed), []), answer.logprobs.text_offset)
        chat = self.client.chat.completions.create(model="stories", messages=HELLO, temperature=0, max_tokens=5, logprobs=True, top_logprobs=2)
        content = chat.choices[0].logprobs.content
        self.assertEqual(len(content), chat.usage.completion_tokens)
        self.assertEqual([len(entry.top_logprobs) for entry in content], [2] * len(content))
        self.assertEqual(bytes(content[0].bytes).decode(), content[0].token)

    def test_logprobs_of_the_prompt(self):
        """The three ways to ask for them say the same: prompt_logprobs, echo, and what follows each beginning."""
        prompt = "Once upon a time there was"
        ids = self.server.ask("POST", "/tokenize", {"prompt": prompt})[2]["tokens"]
        named = {"extra_body": {"prompt_logprobs": 2, "return_tokens_as_token_ids": True}}
        choice = self.complete(prompt=ids, max_tokens=2, echo=True, logprobs=3, **named).choices[0]
        self.assertEqual(len(choice.prompt_logprobs), len(ids))
        self.assertIsNone(choice.prompt_logprobs[0])
        self.assertEqual(choice.logprobs.tokens[:len(ids)], [f"token_id:{token}" for token in ids])
        self.assertEqual(len(choice.logprobs.tokens), len(ids) + 2)
        self.assertIsNone(choice.logprobs.token_logprobs[0])
        self.assertIsNone(choice.logprobs.top_logprobs[0])
        for i in range(1, len(ids)):
            entry, top = choice.prompt_logprobs[i], choice.logprobs.top_logprobs[i]
            own = entry[str(ids[i])]
            self.assertIn(len(entry), (2, 3))
            self.assertEqual(own["rank"] > 2, len(entry) == 3, "two, and the prompt's own")
            self.assertEqual(own["logprob"], choice.logprobs.token_logprobs[i])
            self.assertEqual(list(entry)[0], str(ids[i]))
            self.assertIn(len(top), (3, 4))
            for token, value in entry.items():
                if value["rank"] <= 3:
                    self.assertEqual(top["token_id:" + token], value["logprob"])
            following = self.complete(prompt=ids[:i], max_tokens=1, logprobs=3, extra_body={"return_tokens_as_token_ids": True}).choices[0]
            expected = dict(following.logprobs.top_logprobs[0])
            self.assertEqual({token: value for token, value in top.items() if token in expected}, expected)
        again = self.complete(prompt=ids, max_tokens=2, echo=True, logprobs=3, **named)
        self.assertEqual(again.choices[0].prompt_logprobs, choice.prompt_logprobs)
        self.assertEqual(again.usage.prompt_tokens_details.cached_tokens, 0, "every row of the prompt is wanted")

    def test_offsets_are_places_in_the_text(self):
        for prompt in ("Once upon a time", " Lily saw a dog", "caf\u00e9 \u2603 x"):
            choice = self.complete(prompt=prompt, max_tokens=6, echo=True, logprobs=0).choices[0]
            for i, (token, offset) in enumerate(zip(choice.logprobs.tokens, choice.logprobs.text_offset)):
                if i > 1 and not token.startswith("bytes:"):
                    self.assertEqual(choice.text[offset:offset + len(token)], token, (prompt, i))
            self.assertEqual(choice.logprobs.text_offset[:2], [0, 0], "a control token is no part of the text")

    def test_echo_of_the_prompt_alone(self):
        scored = self.complete(max_tokens=0, echo=True, logprobs=1).choices[0]
        self.assertEqual(scored.text, "Once upon a time")
        self.assertEqual(len(scored.logprobs.token_logprobs), len(scored.logprobs.tokens))
        whole = self.complete(max_tokens=5, echo=True, logprobs=1, n=2, temperature=1, seed=3)
        for one in whole.choices:
            self.assertEqual(one.logprobs.token_logprobs[:len(scored.logprobs.tokens)], scored.logprobs.token_logprobs)
        streams = [[], []]
        for piece in self.complete(max_tokens=5, echo=True, logprobs=1, n=2, temperature=1, seed=3, stream=True):
            if piece.choices[0].logprobs:
                streams[piece.choices[0].index].append(piece.choices[0].logprobs)
        for one, pieces in zip(whole.choices, streams):
            for field in ("tokens", "token_logprobs", "top_logprobs", "text_offset"):
                self.assertEqual(sum((getattr(piece, field) for piece in pieces), []), getattr(one.logprobs, field), field)

    def test_prompt_logprobs_of_a_chat(self):
        answer = self.client.chat.completions.create(model="stories", messages=HELLO, max_tokens=2, temperature=0,
                                                     extra_body={"prompt_logprobs": 0, "return_token_ids": True})
        ids = answer.choices[0].prompt_token_ids
        self.assertEqual(len(answer.prompt_logprobs), len(ids))
        self.assertEqual([list(entry) for entry in answer.prompt_logprobs[1:]], [[str(token)] for token in ids[1:]])
        self.assertEqual(set(answer.prompt_logprobs[1][str(ids[1])]), {"logprob", "rank", "decoded_token"})

    def test_rules_about_tokens(self):
        greedy = self.complete(extra_body={"return_token_ids": True}).choices[0]
        banned = greedy.token_ids[3]
        biased = self.complete(logit_bias={str(banned): -100}, extra_body={"return_token_ids": True}).choices[0]
        self.assertNotIn(banned, biased.token_ids)
        allowed = self.complete(extra_body={"allowed_token_ids": [300, 301], "return_token_ids": True}).choices[0]
        self.assertLessEqual(set(allowed.token_ids), {300, 301})
        stopped = self.complete(extra_body={"stop_token_ids": [banned], "return_token_ids": True}).choices[0]
        self.assertEqual((stopped.finish_reason, stopped.token_ids), ("stop", greedy.token_ids[:greedy.token_ids.index(banned) + 1]))
        longer = self.complete(extra_body={"stop_token_ids": [banned], "min_tokens": 10, "return_token_ids": True}).choices[0]
        self.assertGreater(len(longer.token_ids), 10 - 1)
        word = next(word for word in greedy.text.split() if word.isalpha() and len(word) > 3)
        self.assertNotIn(" " + word, self.complete(extra_body={"bad_words": [word]}).choices[0].text)

    def test_echo_and_ids(self):
        plain = self.complete(max_tokens=8)
        echoed = self.complete(max_tokens=8, echo=True)
        self.assertEqual(echoed.choices[0].text, "Once upon a time" + plain.choices[0].text)
        self.assertEqual(self.complete(max_tokens=0, echo=True).choices[0].text, "Once upon a time")
        with_ids = self.complete(max_tokens=8, extra_body={"return_token_ids": True}).choices[0]
        self.assertEqual(len(with_ids.token_ids), 8)
        self.assertEqual(with_ids.prompt_token_ids, self.server.ask("POST", "/tokenize", {"prompt": "Once upon a time"})[2]["tokens"])
        pieces = list(self.complete(max_tokens=8, stream=True, extra_body={"return_token_ids": True}))
        self.assertEqual(sum((p.choices[0].token_ids or [] for p in pieces if hasattr(p.choices[0], "token_ids")), []), with_ids.token_ids)

    def test_errors_of_the_client(self):
        for fields, error, param in (({"model": "gpt-4"}, openai.NotFoundError, "model"), ({"temperature": -1}, openai.BadRequestError, "temperature"),
                                     ({"n": 0}, openai.BadRequestError, "n"), ({"max_tokens": -2}, openai.BadRequestError, "max_tokens")):
            with self.assertRaises(error) as caught:
                self.complete(**fields)
            self.assertEqual(caught.exception.body["param"], param)

    def test_tokens_there_and_back(self):
        answer = self.server.ask("POST", "/tokenize", {"model": "stories", "prompt": "Once upon a time", "return_token_strs": True})[2]
        self.assertEqual(answer["count"], len(answer["tokens"]))
        self.assertEqual(len(answer["token_strs"]), answer["count"])
        back = self.server.ask("POST", "/detokenize", {"tokens": answer["tokens"][1:]})[2]
        self.assertEqual(back["prompt"], "Once upon a time")
        chat = self.server.ask("POST", "/tokenize", {"messages": HELLO})[2]
        rendered = self.server.ask("POST", "/v1/chat/completions/render", {"messages": HELLO, "temperature": 0.5})[2]
        self.assertEqual(rendered["token_ids"], chat["tokens"])
        self.assertEqual(rendered["sampling_params"]["temperature"], 0.5)
        listed = self.server.ask("POST", "/v1/completions/render", {"prompt": ["a", "b"]})[2]
        self.assertEqual([entry["prompt"] for entry in listed], ["a", "b"])

    def test_metrics_parse_and_are_true(self):
        self.server.ask("POST", "/v1/completions", {"prompt": "Once", "max_tokens": 7, "ignore_eos": True})
        text = self.server.ask("GET", "/metrics")[2].decode()
        families = {family.name: family for family in text_string_to_metric_families(text)}
        for name in ("vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc", "vllm:prefix_cache_queries",
                     "vllm:prefix_cache_hits", "vllm:prompt_tokens", "vllm:generation_tokens", "vllm:request_success",
                     "vllm:time_to_first_token_seconds", "vllm:inter_token_latency_seconds", "vllm:e2e_request_latency_seconds",
                     "vllm:cache_config_info"):
            self.assertIn(name, families)
        config = families["vllm:cache_config_info"].samples[0].labels
        self.assertEqual(config["block_size"], "16")
        self.assertGreater(int(config["num_gpu_blocks"]), 0)
        edges = [s.labels["le"] for s in families["vllm:time_to_first_token_seconds"].samples if s.name.endswith("_bucket")]
        self.assertEqual([float(edge) for edge in edges[:3]] + edges[-1:], [0.001, 0.005, 0.01, "+Inf"])
        before = self.server.metric("vllm:generation_tokens_total")
        self.server.ask("POST", "/v1/completions", {"prompt": "Once", "max_tokens": 7, "ignore_eos": True})
        self.assertEqual(self.server.metric("vllm:generation_tokens_total"), before + 7)

    def test_answers_fit_the_published_schemas(self):
        if not os.environ.get("FOLIO_SHARED"):
            self.skipTest("the API's schemas are not at hand (FOLIO_SHARED)")
        ask = self.server.ask
        schema("chat_completion_response").validate(ask("POST", "/v1/chat/completions", {"messages": HELLO, "max_tokens": 3})[2])
        schema("completion_response").validate(ask("POST", "/v1/completions", {"prompt": "x", "max_tokens": 3})[2])
        schema("models_list").validate(ask("GET", "/v1/models")[2])
        schema("error").validate(ask("POST", "/v1/completions", {"prompt": 3})[2])
        stream = ask("POST", "/v1/chat/completions", {"messages": HELLO, "max_tokens": 3, "stream": True, "stream_options": {"include_usage": True}})[2]
        events = [event[6:] for event in stream.decode().split("\n\n") if event]
        self.assertEqual(events[-1], "[DONE]")
        for event in events[:-1]:
            schema("chat_completion_chunk").validate(json.loads(event))


class Refusals(ServerCase):
    arguments = (STORIES, "--served-model-name", "stories", "--dev-mode", "--strict-fields", "--strict-max-tokens")

    def test_fields(self):
        base = {"prompt": "Once", "max_tokens": 3}
        self.refused("/v1/completions", base | {"prompt_logprobs": 1, "stream": True}, param="prompt_logprobs", says="whole answers")
        for field, value in (("logprobs", 21), ("prompt_logprobs", 21), ("prompt_logprobs", -1), ("prompt_logprobs", -2), ("logprobs", -2), ("logit_bias", {"x": 1}), ("logit_bias", {"5": 101}), ("logit_bias", {"99999": 1}), ("best_of", 4), ("suffix", "x"), ("response_format", {"type": "json_object"}),
                             ("min_tokens", 4), ("stop_token_ids", [99999]), ("allowed_token_ids", [99999]), ("bad_words", [""]), ("priority", 1), ("n", 129), ("structured_outputs", {"regex": "a"}), ("frobnicate", 1)):
            self.refused("/v1/completions", base | {field: value}, param=field)
        chat = {"messages": HELLO}
        for field, value in (("tools", [{"type": "function"}]), ("functions", [{}]), ("logprobs", 3), ("top_logprobs", 3), ("reasoning_effort", "high"), ("modalities", ["audio"])):
            self.refused("/v1/chat/completions", chat | {field: value}, param=field)

    def test_neutral_values_ask_for_nothing(self):
        body = {"messages": HELLO, "max_tokens": 2, "n": 1, "logprobs": False, "tools": [], "tool_choice": "none", "response_format": {"type": "text"},
                "logit_bias": {}, "user": "me", "seed": None, "stop": None, "parallel_tool_calls": True, "store": False, "metadata": {}}
        self.assertEqual(self.server.ask("POST", "/v1/chat/completions", body)[0], 200)

    def test_values(self):
        base = {"prompt": "Once", "max_tokens": 3}
        for field, value in (("temperature", "hot"), ("temperature", 1001), ("top_p", 0), ("top_p", 1.1), ("top_k", -2), ("min_p", 2), ("seed", 1.5),
                             ("max_tokens", -2), ("stop", [""]), ("stop", [1]), ("stop", ["x"] * 65), ("stream", "yes"), ("cache_salt", ""),
                             ("model", 3), ("prompt", []), ("prompt", [[]]), ("prompt", [1, "a"]), ("prompt", [99999]), ("prompt", {}),
                             ("prompt", ["x"] * 129), ("stream_options", {"include_usage": True}), ("truncate_prompt_tokens", 0)):
            self.refused("/v1/completions", base | {field: value}, param=field)
        self.refused("/v1/completions", base | {"stream": True, "stream_options": {"x": 1}}, param="stream_options.x")
        self.refused("/v1/completions", {"max_tokens": 3}, param="prompt", says="missing")

    def test_messages(self):
        for messages, param in (([], "messages"), ([1], "messages[0]"), ([{"content": "x"}], "messages[0].role"), ([{"role": "king", "content": "x"}], "messages[0].role"),
                                ([{"role": "user"}], "messages[0].content"), (HELLO + [{"role": "user", "content": 3}], "messages[1].content"),
                                ([{"role": "user", "content": [{"type": "image_url"}]}], "messages[0].content[0].type"),
                                ([{"role": "tool", "content": "x"}], "messages[0].role"), ([{"role": "user", "content": "x", "y": 1}], "messages[0].y")):
            self.refused("/v1/chat/completions", {"messages": messages}, param=param)

    def test_lengths(self):
        error = self.refused("/v1/completions", {"prompt": [5] * 600}, param="prompt", says="600")
        self.assertEqual(error["code"], "context_length_exceeded")
        self.assertIn("512", error["message"])
        self.refused("/v1/completions", {"prompt": [5] * 500, "max_tokens": 100}, param="max_tokens", says="500")
        cut = {"prompt": [5] * 600, "truncate_prompt_tokens": 20, "max_tokens": 2}
        self.assertEqual(self.server.ask("POST", "/v1/completions", cut)[2]["usage"]["prompt_tokens"], 20)
        self.assertEqual(self.server.ask("POST", "/v1/completions", {"prompt": [5] * 511, "max_tokens": 1})[0], 200)

    def test_rooms_that_are_not_there(self):
        for path, says in (("/v1/responses", "Responses"), ("/x", "openapi")):
            self.refused(path, {}, status=404, says=says)
        for path, status, says in (("/api/chat", 404, "Ollama"), ("/v1/messages", 501, "Messages")):  # in shapes of their own
            code, _, answer = self.server.ask("POST", path, {})
            self.assertEqual(code, status)
            self.assertIn(says, json.dumps(answer))
        self.assertEqual(self.server.ask("GET", "/v1/completions")[0], 405)

    def test_the_cache_can_be_reset(self):
        body = {"prompt": [7] * 100, "max_tokens": 1}
        cached = [self.server.ask("POST", "/v1/completions", body)[2]["usage"]["prompt_tokens_details"]["cached_tokens"] for _ in range(2)]
        self.assertEqual(cached, [0, 96])
        self.assertEqual(self.server.ask("POST", "/reset_prefix_cache")[0], 200)
        self.assertEqual(self.server.ask("POST", "/v1/completions", body)[2]["usage"]["prompt_tokens_details"]["cached_tokens"], 0)

    def test_openapi_describes_what_is_there(self):
        document = self.server.ask("GET", "/openapi.json")[2]
        self.assertEqual(document["openapi"], "3.1.0")
        for path, operations in document["paths"].items():
            for method in operations:
                self.assertNotIn(self.server.ask(method.upper(), path)[0], (404, 405), path)
        schemas = document["components"]["schemas"]
        for name in ("ChatRequest", "CompletionRequest"):
            jsonschema.Draft202012Validator.check_schema(schemas[name])
        good = {"$ref": "#/components/schemas/CompletionRequest", "components": {"schemas": schemas}}
        validator = jsonschema.Draft202012Validator(good)
        validator.validate({"prompt": "x", "temperature": 0.5, "n": 1, "seed": None})
        for bad in ({}, {"prompt": "x", "n": 0}, {"prompt": "x", "temperature": -1}, {"prompt": "x", "frobnicate": 1}):
            self.assertFalse(validator.is_valid(bad), bad)


class Lifetimes(unittest.TestCase):
    def test_how_long_blocks_stay(self):
        names = ("vllm:kv_block_lifetime_seconds", "vllm:kv_block_idle_before_evict_seconds", "vllm:kv_block_reuse_gap_seconds")
        with Server(STORIES, "--kv-cache-metrics", "--kv-cache-metrics-sample", "1", "--num-gpu-blocks-override", "40") as server:
            for _ in range(2):
                server.ask("POST", "/v1/completions", {"prompt": [7] * 33, "max_tokens": 1})
            self.assertEqual(server.metric(names[2] + "_count"), 2, "two full blocks, used once more")
            for i in range(30):
                server.ask("POST", "/v1/completions", {"prompt": [300 + i] * 100, "max_tokens": 1})
            evicted = server.metric("folio:kv_evicted_blocks_total")
            self.assertGreater(evicted, 40)
            for name in names[:2]:
                self.assertEqual(server.metric(name + "_count"), evicted)
            self.assertGreaterEqual(server.metric(names[0] + "_sum"), server.metric(names[1] + "_sum"))
            self.assertGreater(server.metric(names[0] + "_sum"), 0)
        with Server(STORIES) as server:
            self.assertNotIn(names[0], server.ask("GET", "/metrics")[2].decode())


class Samples(ServerCase):
    """The API's own examples of requests."""

    arguments = (STORIES, *(word for name in ("m", "gpt-5.4", "VAR_chat_model_id", "VAR_completion_model_id") for word in ("--served-model-name", name)))

    def test_each_is_answered_or_refused_by_name(self):
        if not os.environ.get("FOLIO_SHARED"):
            self.skipTest("the API's examples are not at hand (FOLIO_SHARED)")
        samples = json.loads((pathlib.Path(os.environ["FOLIO_SHARED"]) / "data" / "openai" / "samples.json").read_text())
        answered = []
        for sample in samples:
            path = {"chat_completion_request": "/v1/chat/completions", "completion_request": "/v1/completions"}.get(sample["schema"])
            if not path:
                continue
            body = {"max_tokens": 5} | sample["body"]
            status, _, answer = self.server.ask("POST", path, body)
            if not sample["valid"] and sample["name"] != "own.request_temperature_3":  # vLLM has no upper bound there
                self.assertEqual(status, 400, sample["name"])
            if status == 200:
                answered.append(sample["name"])
                if not body.get("stream"):
                    # An echoed prompt's first token has no log-probability: the API sends null, and its schema forgot it.
                    for lists in [choice["logprobs"] for choice in answer["choices"] if body.get("echo") and choice["logprobs"]]:
                        self.assertEqual((lists["token_logprobs"].pop(0), lists["top_logprobs"].pop(0)), (None, None))
                    schema("chat_completion_response" if "chat" in path else "completion_response").validate(answer)
            else:
                self.assertEqual(status, 400, sample["name"])
                self.assertTrue(answer["error"]["param"], sample["name"])
        for name in ("chat_completions.default.request", "chat_completions.streaming.request", "chat_completions.logprobs.request",
                     "completions.no_streaming.request", "completions.streaming.request", "own.completion_request_batch"):
            self.assertIn(name, answered)


class MaxLogprobs(unittest.TestCase):
    def test_all(self):
        with Server(STORIES, "--max-logprobs", "-1") as server:
            body = {"prompt": "Once", "max_tokens": 2, "temperature": 0, "logprobs": -1, "return_tokens_as_token_ids": True}
            top = server.ask("POST", "/v1/completions", body)[2]["choices"][0]["logprobs"]["top_logprobs"]
            self.assertEqual([len(position) for position in top], [512, 512])
            self.assertAlmostEqual(sum(math.exp(value) for value in top[0].values()), 1, places=4)
            chat = server.ask("POST", "/v1/chat/completions", {"messages": HELLO, "max_tokens": 1, "logprobs": True, "top_logprobs": 300})[2]
            self.assertEqual(len(chat["choices"][0]["logprobs"]["content"][0]["top_logprobs"]), 300)
            status, _, answer = server.ask("POST", "/v1/completions", body | {"prompt": ["x"] * 128, "max_tokens": 500})
            self.assertEqual((status, answer["error"]["param"]), (400, "logprobs"))
            field = server.ask("GET", "/openapi.json")[2]["components"]["schemas"]["CompletionRequest"]["properties"]["prompt_logprobs"]
            self.assertEqual(field["anyOf"][0], {"type": "integer", "minimum": -1, "maximum": 512})

    def test_few(self):
        with Server(STORIES, "--max-logprobs", "2") as server:
            base = {"prompt": "Once", "max_tokens": 1}
            self.assertEqual(server.ask("POST", "/v1/completions", base | {"logprobs": 2})[0], 200)
            for field in ("logprobs", "prompt_logprobs"):
                status, _, answer = server.ask("POST", "/v1/completions", base | {field: 3})
                self.assertEqual((status, answer["error"]["param"]), (400, field))
                self.assertIn("--max-logprobs", answer["error"]["message"])
            status, _, answer = server.ask("POST", "/v1/chat/completions", {"messages": HELLO, "logprobs": True, "top_logprobs": 3})
            self.assertEqual((status, answer["error"]["param"]), (400, "top_logprobs"))


class Intervals(unittest.TestCase):
    def test_events_hold_several_tokens(self):
        with Server(default_model(), "--stream-interval", "8") as server, openai.OpenAI(base_url=server.url + "/v1", api_key="x") as client:
            body = {"model": server.model, "prompt": "Once upon a time", "temperature": 0, "max_tokens": 40, "logprobs": 0,
                    "extra_body": {"return_token_ids": True, "ignore_eos": True}}
            whole = client.completions.create(**body).choices[0]
            pieces = [p.choices[0] for p in client.completions.create(stream=True, **body)][1:]  # the first announces the prompt
        self.assertEqual("".join(p.text for p in pieces), whole.text)
        self.assertEqual(sum((p.token_ids for p in pieces), []), whole.token_ids)
        self.assertEqual(sum((p.logprobs.token_logprobs for p in pieces if p.logprobs), []), whole.logprobs.token_logprobs)
        self.assertLess(len(pieces[0].token_ids), 8, "the first token does not wait")
        for piece in pieces[1:-1]:
            self.assertGreaterEqual(len(piece.token_ids), 8)
        self.assertEqual(pieces[-1].finish_reason, "length")


class RealModel(unittest.TestCase):
    def test_a_chat(self):
        with Server(default_model()) as server, openai.OpenAI(base_url=server.url + "/v1", api_key="x") as client:
            answer = client.chat.completions.create(model=server.model, temperature=0, max_tokens=40,
                                                    messages=[{"role": "user", "content": "What is the capital of France?"}])
            self.assertIn("Paris", answer.choices[0].message.content)
            self.assertEqual(answer.choices[0].finish_reason, "stop")
            stream = client.completions.create(model=server.model, prompt="Count:", max_tokens=20, stream=True, extra_body={"ignore_eos": True})
            self.assertGreater(len(list(stream)), 10, "tokens are sent as they come")


if __name__ == "__main__":
    program.main()
