#!/usr/bin/env python3
"""folio serve under everything at once: chats that grow, streams, several answers, clients that leave in the middle,
oversized, malformed and forbidden requests. Afterwards nothing is left: no block, no descriptor, no thread, no memory.

30 seconds; five minutes with FOLIO_TEST_LEVEL=full (./dev test --full)."""

import collections
import http.client
import json
import os
import random
import socket
import statistics
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import program  # noqa: E402
from program import STORIES  # noqa: E402
from serving import ServerCase, post, wait_until  # noqa: E402

SECONDS = 300 if os.environ.get("FOLIO_TEST_LEVEL") == "full" else 30
WARM_UP = 5
CLIENTS = 12
KEYS = ("first-key", "second-key")
WORDS = "the big dog saw a little girl in the park and they were happy to play with a red ball all day".split()


class Client(threading.Thread):
    """Sends requests of all kinds until `end`; counts statuses by kind."""

    def __init__(self, server, seed, end):
        super().__init__(daemon=True)
        self.server, self.draw, self.end = server, random.Random(seed), end
        self.statuses = collections.Counter()
        self.failures = []
        self.kinds = (self.complete, self.chat, self.stream, self.leave_a_stream, self.leave_an_answer, self.cut_a_request, self.send_too_much,
                      self.send_rubbish, self.ask_wrongly, self.ask_without_key, self.tokenize, self.look)

    def run(self):
        while time.monotonic() < self.end:
            kind = self.draw.choice(self.kinds)
            try:
                for status in kind():
                    self.statuses[kind.__name__, status] += 1
            except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
                self.failures.append(f"{kind.__name__}: {type(error).__name__}: {error}")

    def words(self, least, most):
        return " ".join(self.draw.choices(WORDS, k=self.draw.randint(least, most)))

    def request(self, body, path="/v1/completions", key=None):
        return post(path, body, f"Authorization: Bearer {key or self.draw.choice(KEYS)}")

    def ask(self, data):
        """The answer's status and body."""
        with self.server.connect() as connection:
            try:
                connection.sendall(data)
            except ConnectionError:
                pass  # refused before all of it was sent: the answer says why
            response = http.client.HTTPResponse(connection)
            response.begin()
            return response.status, response.read()

    def complete(self):
        body = {"prompt": self.words(1, 60), "max_tokens": self.draw.randint(1, 60), "n": self.draw.choice((1, 1, 2, 4)),
                "logprobs": self.draw.choice((None, 2)), "stop": self.draw.choice((None, ["dog", ". "])), "priority": self.draw.randint(0, 3)}
        yield self.ask(self.request(body))[0]

    def chat(self):
        messages = []
        for _ in range(self.draw.randint(1, 3)):
            messages.append({"role": "user", "content": self.words(2, 15)})
            status, text = self.ask(self.request({"messages": messages, "max_tokens": 24, "temperature": 0}, "/v1/chat/completions"))
            yield status
            if status != 200:
                return
            messages.append({"role": "assistant", "content": json.loads(text)["choices"][0]["message"]["content"]})

    def stream(self):
        status, text = self.ask(self.request({"prompt": self.words(1, 30), "max_tokens": 40, "stream": True, "stream_options": {"include_usage": True}}))
        assert status != 200 or text.endswith(b"data: [DONE]\n\n"), text[-100:]
        yield status

    def leave_a_stream(self):
        with self.server.connect() as connection:
            connection.sendall(self.request({"prompt": "One day", "max_tokens": 450, "ignore_eos": True, "stream": True, "n": self.draw.randint(1, 3)}))
            connection.recv(self.draw.randint(1, 5000))
            if self.draw.random() < 0.3:  # with a reset instead of a farewell
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        yield None

    def leave_an_answer(self):
        with self.server.connect() as connection:
            connection.sendall(self.request({"prompt": self.words(1, 200), "max_tokens": 200, "ignore_eos": True}))
            time.sleep(self.draw.random() * 0.02)
        yield None

    def cut_a_request(self):
        with self.server.connect() as connection:
            data = self.request({"prompt": self.words(1, 60)})
            connection.sendall(data[:self.draw.randrange(len(data))])
        yield None

    def send_too_much(self):
        big = self.draw.randrange(3)
        if big == 0:
            yield self.ask(self.request(b" " * 100_000))[0]
        elif big == 1:
            yield self.ask(b"GET /health HTTP/1.1\r\nX-Long: " + b"x" * 20_000 + b"\r\n\r\n")[0]
        else:
            yield self.ask(self.request({"prompt": [5] * self.draw.randint(513, 5000)}))[0]

    def send_rubbish(self):
        kind = self.draw.randrange(3)
        if kind == 0:
            yield self.ask(self.request(self.draw.randbytes(self.draw.randrange(2000)), "/v1/chat/completions"))[0]
        elif kind == 1:
            yield self.ask(self.request(b'{"a":' * 500))[0]
        else:
            yield self.ask(b"BREW /pot HTCPCP/1.0\r\n\r\n")[0]

    def ask_wrongly(self):
        field = self.draw.choice(({"temperature": -1}, {"n": 0}, {"model": "gpt-4"}, {"frobnicate": 1}, {"max_tokens": 10_000}, {"prompt": None}))
        yield self.ask(self.request({"prompt": "x"} | field))[0]

    def ask_without_key(self):
        yield self.ask(self.request({"prompt": "x"}, key="third-key"))[0]

    def tokenize(self):
        yield self.ask(self.request({"prompt": self.words(1, 300)}, "/tokenize"))[0]

    def look(self):
        for path in (b"/metrics", b"/health", b"/v1/models"):
            yield self.ask(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer first-key\r\n\r\n")[0]


ALLOWED = {"complete": {200, 429}, "chat": {200, 400, 429}, "stream": {200, 429}, "send_too_much": {400, 413, 429, 431}, "send_rubbish": {400, 429},
           "ask_wrongly": {400, 404, 429}, "ask_without_key": {401}, "tokenize": {200}, "look": {200}}


class Soak(ServerCase):
    # Few blocks, few seats and a short queue, so that all of it is fought for.
    arguments = (STORIES, "--num-gpu-blocks-override", "160", "--max-num-seqs", "8", "--max-num-queued-reqs", "6", "--max-request-bytes", "64k",
                 "--max-header-bytes", "8k", "--scheduling-policy", "priority", "--fair-api-keys", "--isolate-api-keys", "--strict-fields", "--strict-max-tokens",
                 *(part for key in KEYS for part in ("--api-key", key)))

    def resident_kb(self):
        with open(f"/proc/{self.server.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    def possessions(self):
        """Descriptors and threads, when all is quiet."""
        wait_until(lambda: self.server.ask("GET", "/load")[2]["server_load"] == 0, what="the end of the last request")
        wait_until(lambda: self.server.metric("folio:http_connections") <= 1, what="the end of the last connection")
        process = f"/proc/{self.server.process.pid}"
        return len(os.listdir(f"{process}/fd")), len(os.listdir(f"{process}/task"))

    def load(self, seconds, seed):
        end = time.monotonic() + seconds
        clients = [Client(self.server, 1000 * seed + i, end) for i in range(CLIENTS)]
        for client in clients:
            client.start()
        resident = []
        while any(client.is_alive() for client in clients):
            assert time.monotonic() < end + 60, "a client hangs"
            time.sleep(0.25)
            resident.append(self.resident_kb())
        return clients, resident

    def test_nothing_is_left(self):
        self.load(WARM_UP, seed=1)
        before = self.possessions()
        clients, resident = self.load(SECONDS, seed=2)
        statuses = sum((client.statuses for client in clients), collections.Counter())
        failures = [failure for client in clients for failure in client.failures]
        print(f"{sum(statuses.values())} requests: {dict(collections.Counter(status for _, status in statuses.elements()))}; "
              f"resident {resident[0] >> 10} to {resident[-1] >> 10} MB")
        self.assertEqual(failures, [])
        for (kind, status), count in statuses.items():
            self.assertIn(status, ALLOWED.get(kind, {None}), f"{kind}: {count} times")
        for kind in ALLOWED:
            self.assertGreater(sum(count for (name, _), count in statuses.items() if name == kind), 5, kind)
        served = sum(count for (_, status), count in statuses.items() if status == 200)
        self.assertGreater(served, 10 * SECONDS)
        self.assertGreater(self.server.metric("vllm:request_success_total", finished_reason="abort"), SECONDS / 3)
        self.assertGreater(self.server.metric("folio:kv_evicted_blocks_total"), 0, "blocks were not scarce")

        after = self.possessions()
        self.assertLessEqual(after[0], before[0] + 1, "open files")
        self.assertEqual(after[1], before[1], "threads")
        third = len(resident) // 3
        growth_kb = statistics.median(resident[-third:]) - statistics.median(resident[:third])
        if not any(tree in str(program.FOLIO) for tree in ("build-asan", "build-tsan")):  # whose own records grow
            self.assertLess(growth_kb, 8_192, "resident KB")
        self.assertEqual(self.server.metric("folio:kv_blocks", state="in_use"), 0)
        total = sum(self.server.metric("folio:kv_blocks", state=state) for state in ("free", "cached"))
        self.assertEqual(total, 160)
        self.assertEqual(self.server.metric("vllm:num_requests_running") + self.server.metric("vllm:num_requests_waiting"), 0)
        errors = [line for line in self.server.ask("GET", "/metrics")[2].decode().splitlines() if line.startswith("folio:http_responses_total") and 'status="5' in line]
        self.assertEqual(errors, [])
        # A broken account of blocks ends the engine when it goes idle: that it answers is the proof, and once more here.
        wait_until(lambda: self.server.metric("folio:kv_integrity_checks_total") > 0, what="a check of the blocks' accounts")
        self.assertEqual(self.ask_once()["usage"]["completion_tokens"], 5)

    def ask_once(self):
        return self.server.ask("POST", "/v1/completions", {"prompt": "One day", "max_tokens": 5, "ignore_eos": True}, {"Authorization": f"Bearer {KEYS[0]}"})[2]


if __name__ == "__main__":
    program.main()
