#!/usr/bin/env python3
"""folio serve's own description of itself against what it does (schemathesis), and another ecosystem's client (LangChain)."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import serving  # noqa: E402

TOOLS = serving.use_clients(serving.TOOLS)

import program  # noqa: E402
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage  # noqa: E402
from langchain_openai import ChatOpenAI, OpenAI  # noqa: E402
from program import STORIES  # noqa: E402
from serving import Server, ServerCase  # noqa: E402

SECONDS = 45


class Described(ServerCase):
    arguments = (STORIES, "--dev-mode")

    def test_schemathesis(self):
        """Requests made of /openapi.json, right and wrong in every field: statuses, headers and bodies are those described.
        What no schema can say (a token beyond the vocabulary, a prompt that is too long) may be refused too, with 400."""
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder)
            command = [sys.executable, "-m", "schemathesis.cli", "run", self.server.url + "/openapi.json", "--seed", "6", "--no-color", "--no-shrink",
                       "--continue-on-failure", "--max-examples", "3", "--max-time", str(SECONDS), "--generation-database", "none",
                       "--exclude-checks", "positive_data_acceptance", "--request-timeout", "20"]
            run = subprocess.run(command, cwd=path, capture_output=True, text=True, timeout=300, env=os.environ | {"PYTHONPATH": str(TOOLS)})
        self.assertEqual(run.returncode, 0, run.stdout[-6000:] + run.stderr[-2000:])
        generated = int(re.search(r"(\d+) generated", run.stdout)[1])
        print(f"{generated} requests within {SECONDS} s")
        operations = sum(len(methods) for methods in self.server.ask("GET", "/openapi.json")[2]["paths"].values())
        tested = int(re.search(r"Tested: (\d+)", run.stdout)[1])
        self.assertEqual(self.server.ask("GET", "/health")[0], 200)
        self.assertEqual(self.server.metric("folio:kv_blocks", state="in_use"), 0)
        if tested < operations - 1:  # the description itself may be left out
            self.skipTest(f"schemathesis reached {tested} of {operations} operations within {SECONDS} s: the machine is busy")

    def test_methods_that_are_not_there(self):
        status, headers, _ = self.server.ask("DELETE", "/ping")
        self.assertEqual((status, headers["Allow"]), (405, "GET, POST"))


class LangChain(ServerCase):
    arguments = (STORIES, "--served-model-name", "stories", "--api-key", "key")

    def setUp(self):
        self.where = {"base_url": self.server.url + "/v1", "api_key": "key", "model": "stories", "temperature": 0, "max_retries": 0}

    def test_chat(self):
        chat = ChatOpenAI(max_tokens=12, **self.where)
        messages = [SystemMessage("You tell stories."), HumanMessage("Hello")]
        whole = chat.invoke(messages)
        self.assertIsInstance(whole, AIMessage)
        self.assertEqual(whole.usage_metadata["output_tokens"], 12)
        self.assertEqual(whole.response_metadata["finish_reason"], "length")
        pieces = list(chat.stream(messages))
        self.assertGreater(len(pieces), 1)
        self.assertEqual("".join(piece.content for piece in pieces), whole.content)
        self.assertEqual([answer.content for answer in chat.batch([messages, messages])], [whole.content] * 2)

    def test_logprobs_and_stop(self):
        answer = ChatOpenAI(max_tokens=6, logprobs=True, top_logprobs=2, **self.where).invoke("Hello")
        self.assertEqual(len(answer.response_metadata["logprobs"]["content"]), 6)
        cut = ChatOpenAI(max_tokens=40, **self.where).invoke("Hello", stop=[answer.content[3:6]])
        self.assertEqual(cut.content, answer.content[:answer.content.index(answer.content[3:6])])

    def test_completion(self):
        text = OpenAI(max_tokens=10, **self.where).invoke("Once upon a time")
        self.assertTrue(text.startswith(","), text)

    def test_errors(self):
        with self.assertRaisesRegex(Exception, "stories"):
            ChatOpenAI(**self.where | {"model": "gpt-4"}).invoke("Hello")
        with self.assertRaisesRegex(Exception, "API key"):
            ChatOpenAI(**self.where | {"api_key": "wrong"}).invoke("Hello")


if __name__ == "__main__":
    program.main()
