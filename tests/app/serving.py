"""A folio server for tests, a client of bare sockets, and the packages of real clients. Standard library only."""

import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import program

SKIPPED = 77
CLIENTS = ("openai==2.54.0", "prometheus-client==0.26.0", "jsonschema==4.26.0")
TOOLS = ("schemathesis==4.32.5", "langchain-openai==1.7.3", "langchain-core==1.7.2")  # these want another openai


def client_home():
    """The folder below the user's cache where what tests install is kept."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return pathlib.Path(os.environ.get("FOLIO_HOME") or os.path.join(cache, "folio")) / "test-clients"


def use_clients(packages=CLIENTS):
    """Puts packages on the path: installed once below the user's cache. Without a network the test is not run."""
    key = hashlib.sha256(repr((packages, sys.version_info[:2])).encode()).hexdigest()[:12]
    folder = client_home() / key
    if not folder.exists():
        work = folder.with_name(f"{key}.{os.getpid()}")
        pip = subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", work,
                              *packages], capture_output=True, text=True)
        if pip.returncode != 0:
            shutil.rmtree(work, ignore_errors=True)
            why = (pip.stderr.strip().splitlines() or ["pip said nothing"])[-1]
            if os.environ.get("CI"):
                sys.exit(f"the clients could not be installed: {why}")
            print(f"NOT RUN: the clients could not be installed: {why}")
            sys.exit(SKIPPED)
        with contextlib.suppress(OSError):
            work.rename(folder)  # another run may have been first
    sys.path.insert(0, str(folder))
    return folder


def promtool():
    """Prometheus' checker: the one on PATH, else out of Debian's package without installing that (a service comes with
    it). Skips where there is neither."""
    if found := shutil.which("promtool"):
        return found
    program_file = client_home() / "promtool"
    if not program_file.exists():
        client_home().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=client_home()) as folder:
            command = "apt-get -qq -o APT::Sandbox::User=root download prometheus && dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool"
            try:
                done = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, timeout=300)
            except subprocess.TimeoutExpired:
                raise unittest.SkipTest("promtool could not be fetched within 5 minutes")
            if done.returncode != 0:
                raise unittest.SkipTest("promtool is not on PATH, and apt-get cannot download the package prometheus")
            os.replace(os.path.join(folder, "usr/bin/promtool"), program_file)
    return str(program_file)


class Server:
    """folio serve on a free port. Use as a context manager; ends with SIGTERM and checks the exit status. `tls` is the
    client's ssl context, for a server with --ssl-certfile."""

    def __init__(self, *arguments, environment=None, ends_with=0, tls=None):
        self.ends_with, self.tls = ends_with, tls
        variables = {key: value for key, value in os.environ.items() if not key.startswith(("FOLIO_", "VLLM_"))}
        if "FOLIO_ISA" in os.environ:
            variables["FOLIO_ISA"] = os.environ["FOLIO_ISA"]
        port = [] if "--uds" in arguments else ["--port", "0"]
        self.process = subprocess.Popen([program.FOLIO, "serve", *map(str, arguments), *port], stderr=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, env=variables | (environment or {}))
        self.notes = []
        for line in self.process.stderr:
            self.notes.append(line)
            if found := re.search(r"serving (\S+) at (?:(https?)://([\d.]+):(\d+)|unix:(\S+)): (\d+) KV blocks", line):
                break
        else:
            raise AssertionError(f"the server did not start: {''.join(self.notes)}")
        self.model, self.host, self.port = found[1], found[3], int(found[4] or 0)
        self.url = f"{found[2]}://{self.host}:{self.port}"
        self.reader = threading.Thread(target=self._read_notes, daemon=True)
        self.reader.start()

    def _read_notes(self):
        self.notes.extend(self.process.stderr)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.stop(check=kind is None)

    def stop(self, check=True):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("the server did not end after SIGTERM")
        self.reader.join()
        self.process.stdout.close()
        self.process.stderr.close()
        if check:
            assert status == self.ends_with, f"the server ended with {status}: {''.join(self.notes)}"

    def connect(self, timeout=60):
        plain = socket.create_connection((self.host, self.port), timeout=timeout)
        return self.tls.wrap_socket(plain, server_hostname=self.host) if self.tls else plain

    def ask(self, method, path, body=None, headers=None):
        """(status, headers, body); a body that is no bytes is sent as JSON, a JSON answer comes as what it says."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=120)
        connection.sock = self.connect(timeout=120)
        with contextlib.closing(connection):
            data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            connection.request(method, path, data, headers or {})
            response = connection.getresponse()
            text = response.read()
            is_json = response.headers.get("Content-Type", "").startswith("application/json")
            return response.status, response.headers, json.loads(text) if is_json and text else text

    def metric(self, name, **labels):
        """The sum of the samples of that name and labels; 0 without any."""
        total = 0.0
        for line in self.ask("GET", "/metrics")[2].decode().splitlines():
            if line.startswith(name + "{") and all(f'{key}="{value}"' in line for key, value in labels.items()):
                total += float(line.rsplit(" ", 1)[1])
        return total

    def metric_label(self, name, label):
        """A label of the first sample of that name, as a number."""
        text = self.ask("GET", "/metrics")[2].decode()
        return int(re.search(rf'^{name}{{.*{label}="(\d+)"', text, re.MULTILINE)[1])


def exchange(server, data, end=False, timeout=60):
    """Sends bytes, and with `end` the end of the input; everything that comes back until the server closes."""
    with server.connect(timeout) as connection:
        connection.sendall(data)
        if end:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        while piece := connection.recv(65536):
            received += piece
        return received


def post(path, body, *headers, close=True):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json", f"Content-Length: {len(data)}", *headers]
    return "\r\n".join(lines + (["Connection: close"] if close else [])).encode() + b"\r\n\r\n" + data


def wait_until(condition, seconds=20, what="the condition"):
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > limit:
            raise AssertionError(f"{what} did not come within {seconds} s")
        time.sleep(0.02)


class ServerCase(unittest.TestCase):
    """One server for all tests of a class: `arguments` of folio serve."""

    arguments = (program.STORIES,)

    @classmethod
    def setUpClass(cls):
        cls.server = Server(*cls.arguments)
        cls.addClassCleanup(cls.server.stop)

    def refused(self, path, body, status=400, param=None, says=""):
        """The answer is the API's error object; the next request is answered."""
        code, _, answer = self.server.ask("POST", path, body)
        self.assertEqual(code, status, answer)
        self.assertEqual(set(answer["error"]), {"message", "type", "param", "code"})
        self.assertEqual(answer["error"]["param"], param, answer)
        self.assertIn(says, answer["error"]["message"])
        self.assertEqual(self.server.ask("GET", "/health")[0], 200)
        return answer["error"]
