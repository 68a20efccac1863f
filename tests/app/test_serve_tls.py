#!/usr/bin/env python3
"""folio serve with TLS, as real clients meet it: a self-signed authority, clients' certificates, wrong files."""

import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import serving  # noqa: E402

serving.use_clients()

import httpx  # noqa: E402
import openai  # noqa: E402

import program  # noqa: E402
from program import STORIES  # noqa: E402
from serving import Server, post, wait_until  # noqa: E402

STORY = {"prompt": "Once upon a time", "max_tokens": 20, "temperature": 0}


class Certificates:
    """An authority, and a server's and a client's certificate that it has signed."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        (self.folder / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost")
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key",
                     "-out", "ca.pem", "-days", "2", "-subj", "/CN=test authority")
        for name in ("server", "client"):
            self.openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
            self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                         "-out", f"{name}.pem", "-days", "2", "-extfile", "names")

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

    def __getitem__(self, name):
        return str(self.folder / name)

    def trust(self, client=None):
        context = ssl.create_default_context(cafile=self["ca.pem"])
        if client:
            context.load_cert_chain(self[f"{client}.pem"], self[f"{client}.key"])
        return context


class Tls(program.Case):
    @classmethod
    def setUpClass(cls):
        if not shutil.which("openssl"):
            raise unittest.SkipTest("there is no openssl program to make certificates with")
        folder = tempfile.TemporaryDirectory(prefix="folio-tls-")
        cls.addClassCleanup(folder.cleanup)
        cls.made = Certificates(folder.name)
        cls.flags = ("--ssl-certfile", cls.made["server.pem"], "--ssl-keyfile", cls.made["server.key"])

    def serve(self, *more, client=None, files=None):
        return Server(STORIES, "--generation-config", "vllm", *(files or self.flags), *more, tls=self.made.trust(client))

    def test_the_openai_client(self):
        with self.serve("--api-key", "k") as server, httpx.Client(verify=self.made.trust()) as transport:
            self.assertTrue(server.url.startswith("https://"))
            client = openai.OpenAI(base_url=server.url + "/v1", api_key="k", http_client=transport, max_retries=0)
            whole = client.completions.create(model=server.model, **STORY)
            pieces = client.completions.create(model=server.model, stream=True, **STORY)
            self.assertEqual("".join(piece.choices[0].text for piece in pieces), whole.choices[0].text)
            with self.assertRaises(openai.BadRequestError):
                client.completions.create(model=server.model, prompt="x", temperature=-1)
            self.assertEqual(client.models.list().data[0].id, server.model)

    def test_who_does_not_trust_the_authority_is_told_nothing(self):
        with self.serve() as server:
            with self.assertRaises(ssl.SSLCertVerificationError):
                with socket.create_connection((server.host, server.port)) as plain:
                    ssl.create_default_context().wrap_socket(plain, server_hostname=server.host)
            self.assertEqual(server.ask("GET", "/health")[0], 200)

    def test_plain_http_is_told_to_use_https(self):
        with self.serve() as server, socket.create_connection((server.host, server.port), timeout=20) as plain:
            plain.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = b""
            while piece := plain.recv(65536):
                answer += piece
            self.assertTrue(answer.startswith(b"HTTP/1.1 400 "), answer)
            self.assertIn(b"https://", answer)
            self.assertIn(b'"error"', answer)
            self.assertEqual(server.ask("GET", "/health")[0], 200)

    def test_only_suites_with_forward_secrecy(self):
        with self.serve() as server:
            for suite, fits in (("AES128-GCM-SHA256", False), ("AES256-SHA", False), ("ECDHE-RSA-AES128-SHA", False), ("ECDHE-RSA-AES256-GCM-SHA384", True)):
                context = self.made.trust()
                context.maximum_version = ssl.TLSVersion.TLSv1_2
                context.set_ciphers(suite + ":@SECLEVEL=0")
                try:
                    with socket.create_connection((server.host, server.port), timeout=20) as plain, context.wrap_socket(plain, server_hostname=server.host) as secured:
                        self.assertTrue(fits, secured.cipher())
                except ssl.SSLError:
                    self.assertFalse(fits, suite)
            with server.connect() as connection:
                self.assertEqual(connection.version(), "TLSv1.3")

    def test_rubbish_and_silence_hold_nobody(self):
        with self.serve("--request-timeout", "1", "--max-connections", "4") as server:
            held = [socket.create_connection((server.host, server.port), timeout=20) for _ in range(3)]
            held[0].sendall(b"\x16\x03\x01\x40\x00" + b"\xff" * 100)
            held[1].sendall(b"\x00" * 1000)
            for connection in held:
                with connection:
                    try:
                        while connection.recv(1000):
                            pass
                    except ConnectionError:
                        pass
            self.assertEqual(server.ask("GET", "/health")[0], 200)

    def test_long_bodies_and_answers(self):
        with self.serve("--max-model-len", "512") as server:
            padded = b" " * 2_000_000 + b'{"prompt": "Once", "max_tokens": 3, "n": 1}'
            self.assertEqual(server.ask("POST", "/v1/completions", padded)[0], 200)
            self.assertEqual(server.ask("POST", "/v1/completions", b" " * 17_000_000)[0], 413)
            tokens = [5] * 400
            answer = server.ask("POST", "/detokenize", {"tokens": tokens * 200})[2]
            self.assertGreater(len(answer["prompt"]), 70_000, "more than the socket takes at once")

    def test_pipelined_requests_and_the_end_of_input(self):
        with self.serve() as server, server.connect() as connection:
            request = post("/v1/completions", STORY, close=False)
            connection.sendall(request * 5 + b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
            self.assertEqual(answer.count(b"HTTP/1.1 200 "), 6)

    def test_a_disconnect_cancels(self):
        with self.serve() as server:
            for how in (lambda s: None, lambda s: s.shutdown(socket.SHUT_RDWR)):
                aborted = server.metric("vllm:request_success_total", finished_reason="abort")
                connections = [server.connect() for _ in range(4)]
                for connection in connections:
                    connection.sendall(post("/v1/completions", STORY | {"stream": True, "max_tokens": 450, "ignore_eos": True, "n": 16}))
                    connection.recv(10)
                wait_until(lambda: server.metric("vllm:num_requests_running") > 0, what="the start")
                for connection in connections:
                    how(connection)
                    connection.close()
                wait_until(lambda: server.metric("vllm:request_success_total", finished_reason="abort") > aborted, what="an abort")
                wait_until(lambda: server.metric("vllm:num_requests_running") == 0, what="the end")

    def test_many_at_once(self):
        with self.serve() as server:
            answers = []
            def ask():
                answers.append(server.ask("POST", "/v1/completions", STORY)[2]["choices"][0]["text"])
            threads = [threading.Thread(target=ask) for _ in range(24)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual((len(answers), len(set(answers))), (24, 1))

    def test_certificates_of_clients(self):
        demands = ("--ssl-ca-certs", self.made["ca.pem"], "--ssl-cert-reqs")
        with self.serve(*demands, "2", client="client") as server:
            self.assertEqual(server.ask("GET", "/health")[0], 200)
            server.tls = self.made.trust()
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                server.ask("GET", "/health")
            server.tls = self.made.trust("client")
        with self.serve(*demands, "1") as server:
            self.assertEqual(server.ask("GET", "/health")[0], 200)

    def test_one_file_for_both(self):
        both = self.write("both.pem", pathlib.Path(self.made["server.pem"]).read_text() + pathlib.Path(self.made["server.key"]).read_text())
        with self.serve(files=("--ssl-certfile", str(both))) as server:
            self.assertEqual(server.ask("GET", "/health")[0], 200)

    def test_wrong_files(self):
        rubbish = str(self.write("rubbish.pem", "-----BEGIN nothing"))
        locked = str(self.folder / "locked.key")
        self.made.openssl("pkey", "-in", "server.key", "-aes128", "-passout", "pass:x", "-out", locked)
        certificate = self.made["server.pem"]
        for flags, says in ((("--ssl-certfile", "/nowhere.pem"), ("--ssl-certfile", "/nowhere.pem", "No such file")),
                            (("--ssl-certfile", rubbish), ("--ssl-certfile", "rubbish.pem")),
                            (("--ssl-certfile", certificate), ("no private key", "--ssl-keyfile")),
                            (("--ssl-certfile", certificate, "--ssl-keyfile", "/nowhere.key"), ("--ssl-keyfile", "/nowhere.key")),
                            (("--ssl-certfile", certificate, "--ssl-keyfile", rubbish), ("--ssl-keyfile", "rubbish.pem")),
                            (("--ssl-certfile", certificate, "--ssl-keyfile", self.made["client.key"]), ("is not the key of",)),
                            (("--ssl-certfile", certificate, "--ssl-keyfile", locked), ("passphrase",)),
                            ((*self.flags, "--ssl-cert-reqs", "2", "--ssl-ca-certs", rubbish), ("--ssl-ca-certs", "rubbish.pem"))):
            self.fails("serve", STORIES, "--port", "0", *flags, says=says)
        for flags, says in ((("--ssl-keyfile", self.made["server.key"]), "needs --ssl-certfile"),
                            ((*self.flags, "--ssl-cert-reqs", "2"), "needs --ssl-ca-certs"),
                            ((*self.flags, "--ssl-ca-certs", self.made["ca.pem"]), "does nothing without"),
                            ((*self.flags, "--ssl-cert-reqs", "3"), "--ssl-cert-reqs takes one of")):
            self.fails("serve", STORIES, "--port", "0", *flags, status=2, says=says)


if __name__ == "__main__":
    program.main()
