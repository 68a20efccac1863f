#!/usr/bin/env python3
"""folio pull, list and rm against a server that speaks the hub's API, with all that a network and a disk can do."""

import contextlib
import hashlib
import http.server
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import program  # noqa: E402
from program import STORIES, Case  # noqa: E402

MODEL = STORIES.read_bytes()
CONFIG = b'{"model_type": "llama"}'


class Hub(http.server.ThreadingHTTPServer):
    """Repositories of files; `cuts`: how many bytes each of the next answers may have; `wrong`: sends other bytes."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answers)
        self.repositories = {"org/one": {"tiny-Q8_0.gguf": MODEL, "README.md": b"x"},
                             "org/two": {"a-Q4_0.gguf": MODEL, "b-Q4_K_M.gguf": MODEL, "c-f32.gguf": MODEL},
                             "org/hf": {"config.json": CONFIG, "model.safetensors": b"s" * 3000, "tokenizer.json": b"{}", "train.py": b"bad"},
                             "org/hostile": {"../../outside.gguf": MODEL, ".hidden/x.gguf": MODEL}}
        self.cuts, self.wrong, self.ranges, self.seen, self.tokens = [], False, True, [], []
        self.loops = False
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
        if parts[0] != "cdn" and file.endswith(("gguf", "safetensors")):
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
        self.answer(200, {"Content-Type": "application/json"}, json.dumps(entries).encode())

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
        self.answer(206 if start else 200, headers | {"Content-Length": str(len(body))}, sent)

    def answer(self, status, headers=None, body=b""):
        self.send_response(status)
        for key, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(key, value)
        self.send_header("Connection", "close")
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)


class Pulls(Case):
    def setUp(self):
        super().setUp()
        self.hub = Hub()
        self.addCleanup(self.hub.server_close)
        self.addCleanup(self.hub.shutdown)

    def environment(self, **more):
        return super().environment(HF_ENDPOINT=self.hub.url + "/", HF_TOKEN="secret", **more)

    def pull(self, name, status=0, **options):
        result = self.folio("pull", name, **options)
        self.assertEqual(result.returncode, status, result.stderr.decode())
        return result

    def path(self, *parts):
        return self.folder.joinpath("models", *parts)

    def files(self):
        return sorted(str(p.relative_to(self.folder / "models")) for p in self.path().rglob("*") if p.is_file()) if self.path().exists() else []

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


if __name__ == "__main__":
    program.main()
