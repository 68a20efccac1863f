#!/usr/bin/env python3
"""folio serve as a network meets it: HTTP/1.1, its limits, hostile input, disconnects, signals. Bare sockets only."""

import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import program  # noqa: E402
from program import STORIES, default_model  # noqa: E402
from serving import Server, ServerCase, exchange, post, wait_until  # noqa: E402

GET = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
STORY = {"prompt": "Once upon a time", "max_tokens": 20, "temperature": 0}


def status_of(response):
    return int(response.split(b" ", 2)[1]) if response.startswith(b"HTTP/1.1 ") else response


class Protocol(ServerCase):
    arguments = (STORIES, "--request-timeout", "1", "--max-request-bytes", "8k", "--max-header-bytes", "4k", "--idle-timeout", "3")

    def test_keep_alive(self):
        with self.server.connect() as connection:
            for _ in range(50):
                connection.sendall(GET)
                answer = connection.recv(65536)
                self.assertEqual(status_of(answer), 200)
                self.assertTrue(answer.endswith(b"{}"))

    def test_pipelining_answers_in_order(self):
        first = post("/v1/completions", STORY, close=False)
        second = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n"
        third = b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        answers = exchange(self.server, first + second + third)
        at = [answers.index(text) for text in (b'"text_completion"', b'"list"', b"There is no")]
        self.assertEqual(at, sorted(at))
        self.assertEqual(answers.count(b"HTTP/1.1 "), 3)

    def test_half_close_is_no_disconnect(self):
        whole = exchange(self.server, post("/v1/completions", STORY | {"max_tokens": 200, "ignore_eos": True}, close=False), end=True)
        self.assertIn(b'"finish_reason":"length"', whole)
        stream = exchange(self.server, post("/v1/completions", STORY | {"stream": True}, close=False), end=True)
        self.assertTrue(stream.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n"), stream[-80:])

    def test_http_1_0(self):
        answer = exchange(self.server, post("/v1/completions", STORY | {"stream": True}).replace(b"HTTP/1.1", b"HTTP/1.0"))
        self.assertNotIn(b"Transfer-Encoding", answer)
        self.assertTrue(answer.endswith(b"data: [DONE]\n\n"))

    def test_head_has_no_body(self):
        answer = exchange(self.server, b"HEAD /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        self.assertEqual(status_of(answer), 200)
        self.assertTrue(answer.endswith(b"\r\n\r\n"))

    def test_expect_continue(self):
        request = post("/v1/completions", STORY, "Expect: 100-continue")
        head, body = request.split(b"\r\n\r\n", 1)
        with self.server.connect() as connection:
            connection.sendall(head + b"\r\n\r\n")
            self.assertTrue(connection.recv(65536).startswith(b"HTTP/1.1 100 "))
            connection.sendall(body)
            self.assertEqual(status_of(connection.recv(65536)), 200)

    def test_slow_loris_is_cut_off(self):
        for start in (b"GET /health HTT", post("/v1/completions", STORY)[:-10]):
            begin = time.monotonic()
            with self.server.connect() as connection:
                for byte in start[:5]:
                    connection.sendall(bytes([byte]))
                    time.sleep(0.05)
                connection.sendall(start[5:])
                self.assertEqual(status_of(connection.recv(65536)), 408)
            self.assertLess(time.monotonic() - begin, 10)

    def test_idle_connections_are_closed(self):
        with self.server.connect() as connection:
            begin = time.monotonic()
            self.assertEqual(connection.recv(100), b"")
            self.assertGreater(time.monotonic() - begin, 1.5)

    def test_too_long(self):
        header = exchange(self.server, b"GET /health HTTP/1.1\r\nX: " + b"x" * 6000 + b"\r\n\r\n")
        self.assertEqual(status_of(header), 431)
        body = exchange(self.server, post("/v1/completions", b" " * 9000))
        self.assertEqual(status_of(body), 413)
        self.assertIn(b"--max-request-bytes", body)
        chunk = b"Transfer-Encoding: chunked\r\n\r\n2328\r\n" + b" " * 9000 + b"\r\n0\r\n\r\n"
        start = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
        self.assertEqual(status_of(exchange(self.server, start + chunk)), 413)
        endless = b"Transfer-Encoding: chunked\r\n\r\n1;" + b"x" * 100_000
        self.assertEqual(status_of(exchange(self.server, start + endless)), 431, "the line before a chunk has no end")

    def test_malformed(self):
        chunked = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        for data in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\r\n\r\n\r\n\r\n \r\n\r\n",
                     b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"GET / HTTP/1.1\r\n: x\r\n\r\n",
                     b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
                     chunked + b"zz\r\nabc\r\n0\r\n\r\n", chunked + b"3\r\nabcdef\r\n", chunked + b"ffffffffffffffffff\r\n"):
            answer = exchange(self.server, data, end=True)
            self.assertIn(status_of(answer), (b"", 400, 413), data)
        self.assertEqual(self.server.ask("GET", "/health")[0], 200)

    def test_good_chunks(self):
        body = json.dumps(STORY).encode()
        pieces = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(p), p) for p in (body[:7], body[7:]))
        request = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        self.assertEqual(status_of(exchange(self.server, request + pieces + b"0\r\n\r\n")), 200)

    def test_bodies_that_are_no_request(self):
        for body in (b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe{}", b'{"prompt": "\xc3\x28"}', b'{"prompt": "\\ud800"}', b'{"a": 1e999}',
                     b'{"prompt": "x", "max_tokens": 99999999999999999999}', b"[" * 4000, b'{"a":' * 1000 + b"1" + b"}" * 1000,
                     b'{"prompt": "x", "prompt": 3}', b"{" + b",".join(b'"%d":0' % i for i in range(800)) + b"}"):
            self.refused("/v1/completions", body, param=None if body[:1] != b"{" else self.param_of(body))

    def param_of(self, body):
        return self.server.ask("POST", "/v1/completions", body)[2]["error"]["param"]


class Hostile(program.Case):
    """What one client does to the others."""

    def resident_mb(self, server):
        with open(f"/proc/{server.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) >> 10

    def small(self, server):
        begin = time.monotonic()
        self.assertEqual(server.ask("POST", "/v1/completions", STORY)[0], 200)
        return time.monotonic() - begin

    def test_the_key_is_asked_for_before_the_body(self):
        with Server(STORIES, "--api-key", "secret") as server, contextlib.ExitStack() as held:
            before = self.resident_mb(server)
            for path in ("/v1/completions", "/nowhere", "/health"):
                for _ in range(10):
                    connection = held.enter_context(server.connect())
                    connection.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 16000000\r\n\r\n".encode())
                    answer = connection.recv(65536)
                    self.assertIn(status_of(answer), (401, 405, 413), "although no byte of the body has come")
                    self.assertIn(b"Connection: close", answer)
            self.assertLess(self.resident_mb(server) - before, 50)
            for header in ({"api-key": "secret"}, {"X-Api-Key": "secret"}, {"Authorization": "Bearer secret"}):
                self.assertEqual(server.ask("GET", "/v1/models", headers=header)[0], 200, header)

    def test_long_texts_hold_up_nobody_and_go_with_their_client(self):
        with Server(STORIES) as server:
            self.small(server)
            text, before = json.dumps({"prompt": "a b " * 2_000_000}).encode(), self.resident_mb(server)
            for _ in range(20):
                with server.connect() as connection:
                    connection.sendall(post("/tokenize", text, close=False))
            if "asan" not in program.version():  # which keeps what was freed for a while
                wait_until(lambda: self.resident_mb(server) - before < 80, seconds=5, what="the end of what they sent")
            self.assertLess(self.small(server), 5, "behind twenty texts of 8 MB whose clients have gone")
            with server.connect() as connection:
                connection.sendall(post("/tokenize", text, close=False))
                self.assertLess(self.small(server), 5, "beside one of 8 MB whose client waits")
            status, _, answer = server.ask("POST", "/v1/completions", {"prompt": "a" * 1_000_000})
            self.assertEqual((status, answer["error"]["code"]), (400, "context_length_exceeded"))
            self.assertIn("bytes of text", answer["error"]["message"])

    def test_bodies_are_bounded_together(self):
        with Server(STORIES, "--max-all-request-bytes", "1M") as server, contextlib.ExitStack() as held:
            for _ in range(3):
                connection = held.enter_context(server.connect())
                connection.sendall(post("/v1/completions", b" " * 2_000_000, close=False)[:400_000])
            wait_until(lambda: server.ask("POST", "/tokenize", {"prompt": "a" * 500_000})[0] == 429)
            self.small(server)
            status, headers, answer = server.ask("POST", "/tokenize", {"prompt": "a" * 500_000})
            self.assertEqual(status, 429)
            self.assertIn("--max-all-request-bytes", answer["error"]["message"])

    def test_other_hosts_and_pages_are_refused_where_no_key_is_needed(self):
        with Server(STORIES) as server:
            for header, flag in (({"Host": "evil.example"}, "--allowed-hosts"), ({"Origin": "https://evil.example"}, "--allowed-origins"), ({"Origin": "null"}, "--allowed-origins")):
                for method, path in (("GET", "/v1/models"), ("OPTIONS", "/v1/completions"), ("GET", "/metrics")):
                    status, headers, answer = server.ask(method, path, headers=header)
                    self.assertEqual(status, 403, header)
                    self.assertIn(flag, answer["error"]["message"])
                    self.assertIsNone(headers["Access-Control-Allow-Origin"])
            status, headers, _ = server.ask("GET", "/v1/models", headers={"Origin": "http://localhost:3000"})
            self.assertEqual((status, headers["Access-Control-Allow-Origin"]), (200, "http://localhost:3000"))
            self.assertEqual(server.ask("GET", f"http://localhost:{server.port}/v1/models/?x")[0], 200)
            self.assertEqual(server.ask("GET", "http://evil.example/v1/models")[0], 403)
        with Server(STORIES, "--allowed-origins", "*", "--allowed-hosts", "mine.example") as server:
            status, headers, _ = server.ask("GET", "/v1/models", headers={"Origin": "https://any.example", "Host": "mine.example:80"})
            self.assertEqual((status, headers["Access-Control-Allow-Origin"]), (200, "*"))
        with Server(STORIES, "--api-key", "k") as server:
            self.assertEqual(server.ask("GET", "/v1/models", headers={"Origin": "https://any.example", "Host": "x", "api-key": "k"})[0], 200)

    def test_a_network_without_a_key_is_warned_of(self):
        with Server(STORIES, "--host", "0.0.0.0") as server:
            self.assertEqual("".join(server.notes).count("--api-key asks for a key"), 1)
        with Server(STORIES, "--host", "0.0.0.0", "--api-key", "k") as server:
            self.assertNotIn("warning", "".join(server.notes))

    def test_a_living_servers_unix_socket_is_left_alone(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "socket")
            with Server(STORIES, "--uds", path):
                self.fails("serve", STORIES, "--uds", path, says="another server listens")
                with socket.socket(socket.AF_UNIX) as connection:
                    connection.connect(path)
                    connection.sendall(b"GET /health HTTP/1.1\r\nHost: any.example\r\n\r\n")
                    self.assertEqual(status_of(connection.recv(65536)), 200)
            self.assertFalse(os.path.exists(path))

    def test_one_address_has_its_share_of_connections(self):
        with Server(STORIES, "--max-connections-per-address", "2") as server:
            held = [server.connect() for _ in range(2)]
            for connection in held:
                connection.sendall(GET)
                connection.recv(65536)
            answer = exchange(server, GET)
            self.assertEqual(status_of(answer), 503)
            self.assertIn(b"--max-connections-per-address", answer)
            for connection in held:
                connection.close()
            wait_until(lambda: server.ask("GET", "/health")[0] == 200)

    def test_what_a_client_contradicts_is_no_fault_of_the_server(self):
        with Server(STORIES) as server:
            for fields in ({"min_tokens": 1, "allowed_token_ids": [2]}, {"prompt": ["a"] * 128, "n": 9, "max_tokens": 1},
                           {"allowed_token_ids": [300, 301], "logit_bias": {}, "bad_words": [], "stop_token_ids": list(range(512)), "min_tokens": 2}):
                status, _, answer = server.ask("POST", "/v1/completions", STORY | fields)
                self.assertEqual((status, answer["error"]["type"]), (400, "invalid_request_error"), answer)


class Surroundings(unittest.TestCase):
    def test_keys(self):
        with Server(STORIES, "--api-key", "first", "--api-key", "second", "--isolate-api-keys") as server:
            for header in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "first"}, {"Authorization": "Bearer firs"}):
                status, headers, answer = server.ask("GET", "/v1/models", headers=header)
                self.assertEqual((status, answer["error"]["code"]), (401, "invalid_api_key"))
                self.assertEqual(headers["WWW-Authenticate"], "Bearer")
            self.assertEqual(server.ask("GET", "/health")[0], 200)
            self.assertEqual(server.ask("GET", "/nowhere")[0], 401)
            cached = []
            for key in ("first", "second", "first"):
                status, _, answer = server.ask("POST", "/v1/completions", STORY | {"prompt": "Once upon a time there was a little girl who " * 3},
                                               {"Authorization": f"bearer {key}"})
                self.assertEqual(status, 200)
                cached.append(answer["usage"]["prompt_tokens_details"]["cached_tokens"])
            self.assertEqual(cached[:2], [0, 0], "keys share no blocks")
            self.assertGreater(cached[2], 0)

    def test_pages_of_other_origins(self):
        with Server(STORIES, "--allowed-origins", '["https://a.example", "https://b.example"]') as server:
            headers = server.ask("OPTIONS", "/v1/completions", headers={"Origin": "https://b.example", "Access-Control-Request-Headers": "x-y"})[1]
            self.assertEqual(headers["Access-Control-Allow-Origin"], "https://b.example")
            self.assertEqual(headers["Access-Control-Allow-Headers"], "x-y")
            headers = server.ask("GET", "/v1/models", headers={"Origin": "https://c.example"})[1]
            self.assertIsNone(headers["Access-Control-Allow-Origin"])

    def test_request_ids(self):
        with Server(STORIES) as server:
            self.assertEqual(server.ask("GET", "/health", headers={"X-Request-Id": "abc-1"})[1]["X-Request-Id"], "abc-1")
            drawn = server.ask("GET", "/health", headers={"X-Request-Id": "a b"})[1]["X-Request-Id"]
            self.assertRegex(drawn, r"^[0-9a-f]{32}$")

    def test_unix_socket(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "socket")
            for _ in range(2):  # the second finds what the first left, or nothing
                with Server(STORIES, "--uds", path):
                    with socket.socket(socket.AF_UNIX) as connection:
                        connection.connect(path)
                        connection.sendall(GET)
                        self.assertEqual(status_of(connection.recv(65536)), 200)

    def test_too_many_connections(self):
        with Server(STORIES, "--max-connections", "3") as server:
            held = [server.connect() for _ in range(3)]
            for connection in held:
                connection.sendall(GET)
                connection.recv(65536)
            self.assertEqual(status_of(exchange(server, GET)), 503)
            for connection in held:
                connection.close()
            wait_until(lambda: server.ask("GET", "/health")[0] == 200)

    def test_sources_of_options(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "folio.yaml")
            with open(path, "w") as file:
                file.write("served-model-name: [from-file, also]\nmax_model_len: 100\nblock-size: 32\n")
            with Server(STORIES, "--config", path, "--max-model-len", "0.2k", "--swap-space", "4",
                        environment={"FOLIO_BLOCK_SIZE": "64", "FOLIO_MAX_MODEL_LEN": "150"}) as server:
                cards = server.ask("GET", "/v1/models")[2]["data"]
                self.assertEqual([card["id"] for card in cards], ["from-file", "also"])
                self.assertEqual(cards[0]["max_model_len"], 200)
                self.assertEqual(server.metric("vllm:cache_config_info", block_size=64), 1)
                self.assertIn("--swap-space changes nothing", "".join(server.notes))


class WrongCommandLines(program.Case):
    def test_each_says_what_is_wrong(self):
        for arguments, says in ((["--port", "99999"], "--port"), (["--max-model-len", "1.5"], "--max-model-len"), (["--max-num-sqs", "3"], "--max-num-seqs"),
                                (["--kv-cache-dtype", "fp8"], "not supported yet"), (["--tensor-parallel-size", "2"], "start several behind a router"),
                                (["--no-enable-prefix-caching"], "always cached"), (["--config", "/nowhere.yaml"], "/nowhere.yaml")):
            self.fails("serve", STORIES, *arguments, status=2, says=says)
        self.fails("serve", "/nowhere.gguf", says="/nowhere.gguf")
        self.fails("serve", STORIES, "--host", "no.such.host.invalid", says="--host")
        self.fails("serve", STORIES, "--kv-cache-memory-bytes", "900t", says="--kv-cache-memory-bytes")

    def test_a_port_that_is_taken(self):
        with Server(STORIES) as server:
            self.fails("serve", STORIES, "--port", str(server.port), says="cannot listen")

    def test_config_files(self):
        for content, says in (("a: {b: c}", "'a' is no flag"), ("port: {b: c}", "--port takes"), ("- x", "no list"), ("port: [", "no YAML"), ("prot: 1", "'prot' is no flag"), ("port: x", "--port")):
            path = self.write("folio.yaml", content)
            self.fails("serve", STORIES, "--config", path, status=2, says=says)


class LongAnswers(ServerCase):
    """With the default model an answer takes long enough to be disturbed."""

    more = ()

    @classmethod
    def setUpClass(cls):
        cls.arguments = (default_model(), *cls.more, "--kv-cache-memory-bytes", "100M", "--max-model-len", "4096")
        super().setUpClass()

    def start(self, stream=True, tokens=3000):
        connection = self.server.connect()
        body = {"prompt": "Count:", "max_tokens": tokens, "ignore_eos": True, "stream": stream}
        connection.sendall(post("/v1/completions", body, close=False))
        return connection

    def running(self):
        return self.server.metric("vllm:num_requests_running")

    def test_a_disconnect_cancels(self):
        for stream in (True, False):
            aborted = self.server.metric("vllm:request_success_total", finished_reason="abort")
            connection = self.start(stream)
            wait_until(lambda: self.running() == 1, what="the start")
            if stream:
                connection.recv(10)
            connection.close()
            begin = time.monotonic()
            wait_until(lambda: self.running() == 0, what="the end")
            self.assertLess(time.monotonic() - begin, 2)
            self.assertEqual(self.server.metric("vllm:request_success_total", finished_reason="abort"), aborted + 1)
        self.assertEqual(self.server.metric("folio:kv_blocks", state="in_use"), 0)

    def test_a_byte_behind_the_request_hides_no_disconnect(self):
        aborted = self.server.metric("vllm:request_success_total", finished_reason="abort")
        connection = self.start(stream=False)
        connection.sendall(b"G")
        wait_until(lambda: self.running() == 1, what="the start")
        connection.close()
        begin = time.monotonic()
        wait_until(lambda: self.running() == 0, what="the end")
        self.assertLess(time.monotonic() - begin, 2)
        self.assertEqual(self.server.metric("vllm:request_success_total", finished_reason="abort"), aborted + 1)

    def test_a_slow_reader_holds_nobody(self):
        connection = self.start()
        wait_until(lambda: self.running() == 1)
        for _ in range(3):
            self.assertEqual(self.server.ask("POST", "/v1/completions", STORY)[0], 200)
        connection.close()
        wait_until(lambda: self.running() == 0)


class FullQueue(LongAnswers):
    """The same with one sequence at a time."""

    more = ("--max-num-seqs", "1", "--max-num-queued-reqs", "2")
    test_a_slow_reader_holds_nobody = None

    def test_a_full_queue_is_429(self):
        held = [self.start(tokens=4000)]
        wait_until(lambda: self.running() == 1)
        held += [self.start(tokens=4000) for _ in range(2)]
        wait_until(lambda: self.server.ask("GET", "/load")[2]["server_load"] == 3)
        status, headers, answer = self.server.ask("POST", "/v1/completions", STORY)
        self.assertEqual((status, answer["error"]["code"]), (429, "queue_full"))
        self.assertGreater(int(headers["Retry-After"]), 0)
        for connection in held:
            connection.close()
        wait_until(lambda: self.server.ask("GET", "/load")[2]["server_load"] == 0)
        self.assertEqual(self.server.ask("POST", "/v1/completions", STORY)[0], 200)


class Signals(unittest.TestCase):
    def begin(self, server, tokens):
        connection = server.connect()
        connection.sendall(post("/v1/completions", {"prompt": "Count:", "max_tokens": tokens, "ignore_eos": True, "stream": True}, close=False))
        wait_until(lambda: server.metric("vllm:generation_tokens_total") > 0)
        return connection

    def test_the_first_lets_answers_end(self):
        server = Server(default_model())
        stream = self.begin(server, 60)
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: server.ask("GET", "/health")[0] == 503, what="the end of service")
        late = server.ask("POST", "/v1/completions", STORY)
        self.assertEqual(late[0], 503)
        received = b""
        while piece := stream.recv(65536):
            received += piece
        self.assertIn(b"data: [DONE]", received)
        self.assertIn(b'"finish_reason":"length"', received)
        stream.close()
        self.assertEqual(server.process.wait(20), 0)
        server.stop()

    def test_the_second_ends_at_once(self):
        server = Server(default_model(), ends_with=130)
        stream = self.begin(server, 4000)
        self.addCleanup(stream.close)
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: server.ask("GET", "/health")[0] == 503)
        begin = time.monotonic()
        server.process.send_signal(signal.SIGINT)
        server.process.wait(20)
        self.assertLess(time.monotonic() - begin, 3)
        server.stop()


if __name__ == "__main__":
    program.main()
