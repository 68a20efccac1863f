#!/usr/bin/env python3
"""folio pull, list and rm against a server that speaks the hub's API, with all that a network and a disk can do."""

import contextlib
import hashlib
import http.server
import json
import os
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import program  # noqa: E402
from program import STORIES, Case  # noqa: E402

MODEL = STORIES.read_bytes()
CONFIG = b'{"model_type": "llama"}'


class Hub(http.server.ThreadingHTTPServer):
    """Repositories of files; `cuts`: how many bytes each of the next answers may have; `wrong`: sends other bytes;
    `busy`: (status, Retry-After) of the next answers; `pages`: entries of the list on each page, 0: all; `endless`: sends on
    without an end and says no length; `gate`: waited for in the middle of each body; `redirects`: files lie with a CDN."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answers)
        self.repositories = {"org/one": {"tiny-Q8_0.gguf": MODEL, "README.md": b"x"},
                             "org/two": {"a-Q4_0.gguf": MODEL, "b-Q4_K_M.gguf": MODEL, "c-f32.gguf": MODEL},
                             "org/hf": {"config.json": CONFIG, "model.safetensors": b"s" * 3000, "tokenizer.json": b"{}", "train.py": b"bad"},
                             "org/hostile": {"../../outside.gguf": MODEL, ".hidden/x.gguf": MODEL}}
        self.cuts, self.wrong, self.ranges, self.seen, self.tokens = [], False, True, [], []
        self.loops, self.busy, self.pages, self.endless, self.gate, self.redirects = False, [], 0, False, None, True
        self.at_gate, self.flowed = threading.Event(), 0
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        pass  # clients that are killed


class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        hub, path = self.server, self.path.split("?")[0]
        self.close_connection = True
        hub.seen.append((path, self.headers.get("Range")))
        hub.tokens.append(self.headers.get("Authorization"))
        parts = path.strip("/").split("/")
        if hub.loops:
            return self.answer(302, {"Location": path})
        if hub.busy:
            status, seconds = hub.busy.pop(0)
            return self.answer(status, {} if seconds is None else {"Retry-After": str(seconds)})
        if parts[:2] == ["api", "models"]:
            return self.listing("/".join(parts[2:4]))
        name, file = "/".join(parts[:2]), "/".join(parts[4:])
        if parts[0] == "cdn":
            name, file = "/".join(parts[1:3]), "/".join(parts[3:])
        content = hub.repositories.get(name, {}).get(file)
        if content is None:
            return self.answer(404)
        if name == "org/gated":
            return self.answer(401)
        if hub.redirects and parts[0] != "cdn" and file.endswith(("gguf", "safetensors")):
            # Another name of this host: the token must not follow.
            return self.answer(302, {"Location": f"http://localhost:{hub.server_port}/cdn/{name}/{file}",
                                     "X-Linked-Etag": f'"{hashlib.sha256(content).hexdigest()}"'})
        self.content(content)

    def listing(self, name):
        files = self.server.repositories.get(name)
        if files is None:
            return self.answer(404)
        entries = []
        for path, content in files.items():
            entry = {"type": "file", "path": path, "size": len(content),
                     "oid": hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()}
            if path.endswith(("gguf", "safetensors")):
                entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content)}
            entries.append(entry)
        headers = {"Content-Type": "application/json"}
        if pages := self.server.pages:
            page = int(dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query)).get("cursor", 0))
            if (page + 1) * pages < len(entries):
                headers["Link"] = f'<{self.path.split("?")[0]}?recursive=true&cursor={page + 1}>; rel="next"'
            entries = entries[page * pages:(page + 1) * pages]
        if self.server.endless:
            return self.flow(b"[" + b" " * 65536)
        self.answer(200, headers, json.dumps(entries).encode())

    def flow(self, piece):
        """Without a length and without an end."""
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(piece)
                self.server.flowed += len(piece)

    def content(self, content):
        hub, start = self.server, 0
        if hub.ranges and (asked := self.headers.get("Range")):
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                return self.answer(416)
        body = content[start:]
        if hub.wrong:
            body = body[:-1] + bytes([body[-1] ^ 1])
        headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        sent = body[:hub.cuts.pop(0)] if hub.cuts else body
        if hub.endless:
            return self.flow(body)
        if hub.gate:
            return self.answer_in_halves(body)
        self.answer(206 if start else 200, headers | {"Content-Length": str(len(body))}, sent)

    def answer_in_halves(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body[:len(body) // 2])
            self.server.at_gate.set()
            self.server.gate.wait(60)
            self.wfile.write(body[len(body) // 2:])

    def answer(self, status, headers=None, body=b""):
        self.send_response(status)
        for key, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(key, value)
        self.send_header("Connection", "close")
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)


class Proxy(http.server.ThreadingHTTPServer):
    """Takes every host for `target`, a port of this machine; `seen`: what was asked of it, and with which token."""

    daemon_threads = True

    def __init__(self, target):
        super().__init__(("127.0.0.1", 0), Forwards)
        self.target, self.seen = target, []
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Forwards(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_CONNECT(self):
        self.server.seen.append(("CONNECT " + self.path, self.headers.get("Authorization")))
        with socket.create_connection(("127.0.0.1", self.server.target)) as target:
            self.send_response(200)
            self.end_headers()
            there = threading.Thread(target=self.copy, args=(self.connection, target), daemon=True)
            there.start()
            self.copy(target, self.connection)
            there.join()
        self.close_connection = True

    def do_GET(self):
        self.server.seen.append(("GET " + self.path, self.headers.get("Authorization")))
        url = urllib.parse.urlsplit(self.path)
        with socket.create_connection(("127.0.0.1", self.server.target)) as target:
            target.sendall(f"GET {url.path}?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\nConnection: close\r\n\r\n".encode())
            self.copy(target, self.connection)
        self.close_connection = True

    @staticmethod
    def copy(source, to):
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                to.sendall(piece)
            to.shutdown(socket.SHUT_WR)


class HubCase(Case):
    def setUp(self):
        super().setUp()
        self.more = {}
        self.hub = self.start(Hub())

    def start(self, server):
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server

    def environment(self, **more):
        base = super().environment(HF_ENDPOINT=self.hub.url + "/", HF_TOKEN="secret", **more)
        return {name: value for name, value in base.items() if not name.lower().endswith("_proxy")} | self.more

    def pull(self, name, status=0, **options):
        result = self.folio("pull", name, **options)
        self.assertEqual(result.returncode, status, result.stderr.decode())
        return result

    def popen(self, *arguments):
        process = subprocess.Popen([program.FOLIO, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=self.environment())
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        return process

    def path(self, *parts):
        return self.folder.joinpath("models", *parts)

    def files(self):
        return sorted(str(p.relative_to(self.folder / "models")) for p in self.path().rglob("*") if p.is_file()) if self.path().exists() else []


class Pulls(HubCase):
    def test_pull_list_run_rm(self):
        result = self.pull("hf://org/one")
        self.assertEqual(result.stdout.decode().strip(), str(self.path("org/one/tiny-Q8_0.gguf")))
        self.assertEqual(self.path("org/one/tiny-Q8_0.gguf").read_bytes(), MODEL)
        self.assertEqual(self.files(), ["org/one/tiny-Q8_0.gguf"])
        listed = self.folio("list").stdout.decode()
        self.assertIn("1.1 MB  org/one:tiny-Q8_0.gguf\n", listed)
        for name in ("org/one", "org/one:tiny-Q8_0", "hf://org/one:tiny-Q8_0.gguf"):
            self.assertIn(b"Once", self.folio("run", name, "--raw", "-p", "", "--temperature", "0", "-n", "5").stdout)
        seen = len(self.hub.seen)
        self.pull("org/one")
        self.assertEqual(len(self.hub.seen), seen + 1, "what is there is not fetched again")
        self.assertEqual(self.folio("rm", "org/one").returncode, 0)
        self.assertEqual(self.files(), [])
        self.assertFalse(self.path("org").exists())
        self.fails("rm", "org/one", says="no model 'org/one'")
        self.fails("run", "org/one", "-p", "x", says="folio pull")

    def test_the_token_stays_with_its_host(self):
        self.pull("org/one")
        by_path = dict(zip((path for path, _ in self.hub.seen), self.hub.tokens))
        self.assertEqual(by_path["/org/one/resolve/main/tiny-Q8_0.gguf"], "Bearer secret")
        self.assertIsNone(by_path["/cdn/org/one/tiny-Q8_0.gguf"])

    def test_which_file(self):
        self.pull("org/two")
        self.assertEqual(self.files(), ["org/two/b-Q4_K_M.gguf"])
        self.pull("org/two:q4_0")
        self.pull("org/two:c-f32.gguf")
        self.assertEqual(len(self.files()), 3)
        self.fails("pull", "org/two:Q9", says=("Q9", "a-Q4_0.gguf"))
        self.fails("pull", "org/two:gguf", says="name one behind a colon")
        self.fails("rm", "org/two", says="say which")

    def test_a_hugging_face_model_without_its_programs(self):
        result = self.pull("org/hf")
        self.assertEqual(result.stdout.decode().strip(), str(self.path("org/hf")))
        self.assertEqual(self.files(), ["org/hf/config.json", "org/hf/model.safetensors", "org/hf/tokenizer.json"])
        self.assertIn(b"org/hf\n", self.folio("list").stdout)

    def test_weights_are_fetched_once(self):
        index = json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}).encode()
        shards = {f"model-0000{i}-of-00002{kind}.safetensors": b"s" * 3000 for i in (1, 2) for kind in ("", ".fp16")}
        self.hub.repositories["org/twice"] = {"config.json": CONFIG, "consolidated.safetensors": b"c" * 6000, "model.safetensors.index.json": index} | shards
        self.pull("org/twice")
        self.assertEqual(self.files(), ["org/twice/" + name for name in (
            "config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json")])
        del self.hub.repositories["org/twice"]["model-00002-of-00002.safetensors"]
        shutil.rmtree(self.path("org"))
        self.assertIn("does not hold: 'model-00002-of-00002.safetensors'", self.pull("org/twice", status=1).stderr.decode())

    def test_cuts_are_resumed(self):
        self.hub.cuts = [300_000, 0, 400_000]
        result = self.pull("org/one")
        self.assertEqual(self.path("org/one/tiny-Q8_0.gguf").read_bytes(), MODEL)
        ranges = [asked for path, asked in self.hub.seen if path.startswith("/cdn")]
        self.assertEqual(ranges, [None, "bytes=300000-", "bytes=300000-", "bytes=700000-"])
        self.assertIn("going on", result.stderr.decode())

    def test_a_later_pull_goes_on(self):
        self.hub.cuts = [500_000] + [0] * 20
        self.assertIn("pull again", self.pull("org/one", status=1).stderr.decode())
        self.assertEqual(self.files(), ["org/one/tiny-Q8_0.gguf.part"])
        self.assertEqual(self.folio("list").stdout, b"")
        self.hub.cuts = []
        self.pull("org/one")
        self.assertEqual(self.hub.seen[-1][1], "bytes=500000-")
        self.assertEqual(self.path("org/one/tiny-Q8_0.gguf").read_bytes(), MODEL)

    def test_a_server_without_ranges_begins_anew(self):
        self.hub.cuts, self.hub.ranges = [300_000], False
        self.pull("org/one")
        self.assertEqual(self.path("org/one/tiny-Q8_0.gguf").read_bytes(), MODEL)

    def test_wrong_bytes_are_not_kept(self):
        self.hub.wrong = True
        for name in ("org/one", "org/hf"):
            self.assertIn("hash", self.pull(name, status=1).stderr.decode())
        self.assertEqual(self.files(), [])

    def test_urls(self):
        self.pull(self.hub.url + "/org/one/resolve/main/tiny-Q8_0.gguf?download=true")
        self.assertEqual(self.files(), ["tiny-Q8_0.gguf"])
        self.assertEqual(self.folio("list").stdout.decode().split()[-1], "tiny-Q8_0.gguf")
        self.hub.wrong = True
        self.pull(self.hub.url + "/org/two/resolve/main/a-Q4_0.gguf", status=1)

    def test_refusals(self):
        for name in ("nothing", "a/b/c", "../x/y", "org/one:../x", "org/.x", "ftp://x/y", "http://x", "hf://"):
            self.fails("pull", name)
        self.fails("pull", status=2, says="name of a model")
        self.fails("pull", "org/none", says="no such model")
        self.fails("pull", "org/hostile", says="neither")
        self.hub.repositories["org/gated"] = {"x.gguf": b"x" * 10}
        self.fails("pull", "org/gated", says="HF_TOKEN")
        self.hub.loops = True
        self.assertIn("redirects more than", self.pull("org/one", status=1).stderr.decode())
        self.assertEqual(self.files(), [])
        self.hub.shutdown()
        self.hub.server_close()
        self.fails("pull", "org/one", says="cannot be reached")

    def test_a_full_disk(self):
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        result = subprocess.run([program.FOLIO, "pull", "org/one"], capture_output=True, env=self.environment(), preexec_fn=limit,
                                restore_signals=False, timeout=60)
        self.assertEqual(result.returncode, 1)
        self.assertIn("cannot be written", result.stderr.decode())
        self.assertEqual(self.files(), ["org/one/tiny-Q8_0.gguf.part"])
        self.pull("org/one")
        self.assertEqual(self.path("org/one/tiny-Q8_0.gguf").read_bytes(), MODEL)

    def test_a_kill_leaves_nothing_that_looks_whole(self):
        self.hub.cuts = [100_000] * 3
        process = subprocess.Popen([program.FOLIO, "pull", "org/one"], stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=self.environment())
        process.stderr.readline()
        process.kill()
        process.communicate()
        self.assertTrue(all(name.endswith(".part") for name in self.files()) or self.path("org/one/tiny-Q8_0.gguf").read_bytes() == MODEL)
        self.hub.cuts = []
        self.pull("org/one")
        self.assertEqual(self.path("org/one/tiny-Q8_0.gguf").read_bytes(), MODEL)


class Trouble(HubCase):
    """Networks, hubs and disks that misbehave, and others who pull the same."""

    def test_a_busy_hub_is_asked_again(self):
        self.hub.busy = [(503, None), (429, 1)]
        start = time.monotonic()
        said = self.pull("org/one").stderr.decode()
        self.assertGreater(time.monotonic() - start, 1.4, "as long as it asks")
        self.assertIn("503; going on in 0.5 s", said)
        self.assertEqual(self.path("org/one/tiny-Q8_0.gguf").read_bytes(), MODEL)
        self.pull("org/hf")
        self.hub.repositories["org/three"] = {"a.gguf": MODEL}
        answers = self.hub.busy
        self.hub.seen.clear()
        listing = Answers.listing

        def then_busy(handler, name):  # the list, and then trouble with the file
            answers.extend([(502, 0)])
            listing(handler, name)
        Answers.listing = then_busy
        self.addCleanup(setattr, Answers, "listing", listing)
        self.assertIn("502", self.pull("org/three").stderr.decode())
        self.assertEqual(self.path("org/three/a.gguf").read_bytes(), MODEL)

    def test_a_hub_that_stays_busy_is_given_up(self):
        self.hub.busy = [(503, 0)] * 50
        self.assertIn("the hub answers 503\n", self.pull("org/one", status=1).stderr.decode())
        self.assertEqual(len(self.hub.seen), 5)
        self.hub.busy = [(429, 3000)]
        self.assertIn("429", self.fails("pull", "org/one"))
        self.hub.busy = [(400, 0)]
        self.assertIn("400", self.fails("pull", "org/one"))

    def test_what_never_ends_is_cut_off(self):
        self.hub.endless = True
        self.assertIn("longer than 16777216 bytes", self.fails("pull", "org/one"))
        self.assertLess(self.hub.flowed, 32 << 20, "and what the sockets hold")
        self.hub.endless = False
        self.hub.repositories["org/grown"] = {"a.gguf": MODEL}
        listing = Answers.listing

        def then_endless(handler, name):
            listing(handler, name)
            handler.server.endless = True
        Answers.listing, self.hub.flowed = then_endless, 0
        self.addCleanup(setattr, Answers, "listing", listing)
        self.assertIn(f"sends more than {len(MODEL)} bytes", self.pull("org/grown", status=1).stderr.decode())
        self.assertLess(self.hub.flowed, len(MODEL) + (16 << 20))
        self.assertEqual(self.files(), [])

    def test_pages_of_the_list(self):
        self.hub.repositories["org/pages"] = {f"note{i}.txt": b"x" for i in range(5)} | {"m-Q4_0.gguf": MODEL}
        self.hub.pages = 2
        self.pull("org/pages")
        self.assertEqual(self.files(), ["org/pages/m-Q4_0.gguf"])
        self.assertEqual(len([path for path, _ in self.hub.seen if path.startswith("/api")]), 3)
        self.hub.repositories["org/long"] = {f"{i}.txt": b"x" for i in range(150)}
        self.hub.pages = 1
        self.assertIn("more than 100 pages", self.fails("pull", "org/long"))

    def test_two_pulls_of_one_model(self):
        self.hub.gate = threading.Event()
        first = self.popen("pull", "org/one")
        self.assertTrue(self.hub.at_gate.wait(60))
        second = self.popen("pull", "org/one")
        self.assertIn(b"another process is downloading it; waiting", second.stderr.readline())
        self.hub.gate.set()
        for process in (first, second):
            out, said = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 0, said)
            self.assertEqual(out.decode().strip(), str(self.path("org/one/tiny-Q8_0.gguf")))
        self.assertEqual(self.files(), ["org/one/tiny-Q8_0.gguf"])
        self.assertEqual(self.path("org/one/tiny-Q8_0.gguf").read_bytes(), MODEL)
        self.assertEqual(len([path for path, _ in self.hub.seen if path.startswith("/cdn")]), 1)

    def test_who_waits_goes_on_after_a_kill(self):
        self.hub.gate = threading.Event()
        first = self.popen("pull", "org/one")
        self.assertTrue(self.hub.at_gate.wait(60))
        second = self.popen("pull", "org/one")
        second.stderr.readline()
        gate, self.hub.gate = self.hub.gate, None
        first.kill()
        _, said = second.communicate(timeout=60)
        gate.set()
        self.assertEqual(second.returncode, 0, said)
        self.assertEqual(self.path("org/one/tiny-Q8_0.gguf").read_bytes(), MODEL)
        self.assertRegex(self.hub.seen[-1][1] or "", "bytes=[1-9]", "from where the other was")

    def test_only_regular_files_are_written(self):
        self.path("org/one/tiny-Q8_0.gguf").mkdir(parents=True)
        self.assertIn("is not a regular file", self.fails("pull", "org/one"))
        self.path("org/one/tiny-Q8_0.gguf").rmdir()
        os.mkfifo(self.path("org/one/tiny-Q8_0.gguf"))
        self.assertIn("is not a regular file", self.fails("pull", "org/one"))
        os.remove(self.path("org/one/tiny-Q8_0.gguf"))
        victim = self.write("victim", "keep")
        self.path("org/one/tiny-Q8_0.gguf.part").symlink_to(victim)
        self.assertIn("is not a regular file", self.fails("pull", "org/one"))
        self.assertEqual(victim.read_bytes(), b"keep")

    def test_names_that_a_terminal_would_obey(self):
        self.hub.repositories["org/bad"] = {"a\x1b[31m.gguf": MODEL, "b\u009b31m.gguf": MODEL, "c\u202efugg.gguf": MODEL, "good.gguf": MODEL}
        self.pull("org/bad")
        self.assertEqual(self.files(), ["org/bad/good.gguf"])

    def test_a_file_that_changed_since_it_was_listed(self):
        listing = Answers.listing

        def then_shorter(handler, name):
            listing(handler, name)
            handler.server.repositories[name]["tiny-Q8_0.gguf"] = MODEL[:-1]
        Answers.listing = then_shorter
        self.addCleanup(setattr, Answers, "listing", listing)
        self.assertIn("pull again", self.pull("org/one", status=1).stderr.decode())
        self.assertEqual(self.files(), [])

    def test_a_body_that_ends_too_early_each_time(self):
        def short(handler, content):  # whole as far as HTTP tells, and nothing behind it
            if handler.headers.get("Range"):
                return handler.answer(416)
            handler.send_response(200)
            handler.end_headers()
            handler.wfile.write(content[:-1])
        content = Answers.content
        Answers.content = short
        self.addCleanup(setattr, Answers, "content", content)
        self.assertIn("pull again", self.pull("org/one", status=1).stderr.decode())
        self.assertEqual(len([path for path, _ in self.hub.seen if path.startswith("/cdn")]), 5)


class Connections(HubCase):
    """Proxies, certificates, and who gets the token."""

    def test_a_url_elsewhere_gets_no_token(self):
        self.pull(f"http://localhost:{self.hub.server_port}/cdn/org/one/tiny-Q8_0.gguf")
        self.assertEqual(self.hub.tokens, [None])
        self.pull(self.hub.url + "/cdn/org/two/a-Q4_0.gguf")
        self.assertEqual(self.hub.tokens[-1], "Bearer secret", "the endpoint's own URLs do")
        self.assertIn("is there already", self.pull(self.hub.url + "/cdn/org/one/tiny-Q8_0.gguf").stderr.decode())

    def test_a_proxy_of_http(self):
        self.hub.redirects = False
        proxy = self.start(Proxy(self.hub.server_port))
        self.more = {"HF_ENDPOINT": "http://hub.invalid", "http_proxy": proxy.url}
        self.pull("org/one")
        self.assertEqual([path for path, _ in proxy.seen],
                         ["GET http://hub.invalid/api/models/org/one/tree/main?recursive=true", "GET http://hub.invalid/org/one/resolve/main/tiny-Q8_0.gguf"])
        self.more["no_proxy"] = "hub.invalid"
        self.fails("pull", "org/two", says="cannot be reached")
        self.assertEqual(len(proxy.seen), 2)
        self.more = {"http_proxy": proxy.url, "all_proxy": proxy.url}
        self.pull("org/two")
        self.assertEqual(len(proxy.seen), 2, "this machine's own addresses need none")

    def test_a_redirect_never_leaves_https(self):
        self.serve_tls()
        self.more["HF_ENDPOINT"] = f"https://localhost:{self.hub.server_port}"
        self.fails("pull", "org/one", says="from https to http")
        self.hub.redirects = False
        self.pull("org/one")

    def test_a_proxy_of_https_sees_neither_token_nor_path(self):
        self.serve_tls()
        self.hub.redirects = False
        proxy = self.start(Proxy(self.hub.server_port))
        self.more |= {"HF_ENDPOINT": "https://hub.invalid", "HTTPS_PROXY": proxy.url}
        self.pull("org/one")
        self.assertEqual(set(proxy.seen), {("CONNECT hub.invalid:443", None)})
        self.assertEqual(set(self.hub.tokens), {"Bearer secret"})
        self.assertEqual(self.path("org/one/tiny-Q8_0.gguf").read_bytes(), MODEL)

    def test_certificates_are_checked(self):
        self.serve_tls()
        self.more["HF_ENDPOINT"] = f"https://127.0.0.1:{self.hub.server_port}"
        self.fails("pull", "org/one", says="certificate")  # of another name
        self.more["HF_ENDPOINT"] = f"https://localhost:{self.hub.server_port}"
        del self.more["SSL_CERT_FILE"]
        self.fails("pull", "org/one", says="certificate")  # of an authority that nobody knows
        self.assertEqual(self.hub.seen, [])

    def serve_tls(self):
        if not shutil.which("openssl"):
            raise unittest.SkipTest("there is no openssl program to make certificates with")
        made = tempfile.TemporaryDirectory(prefix="folio-hub-tls-")
        self.addCleanup(made.cleanup)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key", "-out", "cert",
                        "-days", "2", "-subj", "/CN=hub", "-addext", "subjectAltName=DNS:localhost,DNS:hub.invalid"],
                       cwd=made.name, check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(made.name + "/cert", made.name + "/key")
        self.hub.socket = context.wrap_socket(self.hub.socket, server_side=True)
        self.more["SSL_CERT_FILE"] = made.name + "/cert"


if __name__ == "__main__":
    program.main()
