#!/usr/bin/env python3
"""What docs/serving.md and deploy/ promise of the server: examples run as they stand, dashboards ask for what is there,
Prometheus' own checker reads the metrics, systemd reads the unit."""

import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import serving  # noqa: E402

CLIENTS = serving.use_clients()

import program  # noqa: E402
from program import ROOT, STORIES, default_model  # noqa: E402
from serving import Server, ServerCase  # noqa: E402

DEPLOY = ROOT / "deploy"
PAGE = (ROOT / "docs" / "serving.md").read_text()
ADDRESS = "http://127.0.0.1:8000"


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def commands(first):
    """The lines of the sh blocks that begin with that word, without their comments."""
    lines = [line.split(" #")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    return [line for line in lines if line.split()[:1] == [first]]


class Examples(program.Case):
    def test_serve_commands(self):
        """Each starts a server that is well; only its model, port, host and files are others."""
        serving_lines = [line for line in commands("folio") if line.startswith("folio serve")]
        self.assertGreaterEqual(len(serving_lines), 5)
        for line in serving_lines:
            words = shlex.split(line.replace('"$KEY"', "some-key"))[2:]
            arguments, tls = self.localised(words)
            with self.subTest(line), Server(*arguments, tls=tls) as server:
                self.assertEqual(server.ask("GET", "/health")[0], 200)
                needs_key = "--api-key" in words
                self.assertEqual(server.ask("GET", "/v1/models")[0], 401 if needs_key else 200)
                if needs_key:
                    self.assertEqual(server.ask("GET", "/v1/models", headers={"Authorization": "Bearer some-key"})[0], 200)

    def localised(self, words):
        tls, arguments = None, []
        for word in words:
            if arguments and arguments[-1] in ("--port", "--ssl-certfile", "--ssl-keyfile"):
                flag = arguments.pop()
                if flag == "--ssl-certfile":
                    tls = self.make_certificate()
                    arguments += [flag, str(self.folder / "chain.pem")]
                elif flag == "--ssl-keyfile":
                    arguments += [flag, str(self.folder / "key.pem")]
            elif word.endswith(".gguf") or re.fullmatch(r"[\w.-]+/[\w.-]+", word):
                continue
            else:
                arguments.append("127.0.0.1" if word == "0.0.0.0" else word)
        return [STORIES, *arguments], tls

    def make_certificate(self):
        if not shutil.which("openssl"):
            self.skipTest("there is no openssl program to make certificates with")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key.pem", "-out",
                        "chain.pem", "-days", "2", "-subj", "/CN=x", "-addext", "subjectAltName=IP:127.0.0.1"], cwd=self.folder, check=True, capture_output=True)
        import ssl
        return ssl.create_default_context(cafile=self.folder / "chain.pem")

    def test_the_python_examples(self):
        source = "\n".join(blocks("python"))
        with Server(default_model()) as server:
            self.assertIn(ADDRESS, source)
            run = subprocess.run([sys.executable, "-c", source.replace(ADDRESS, server.url)], capture_output=True, text=True, timeout=120,
                                 env=os.environ | {"PYTHONPATH": str(CLIENTS)})
            self.assertEqual(run.returncode, 0, run.stderr)
            answer, _, usage = run.stdout.partition("CompletionUsage(")
            self.assertGreater(len(answer), 2, run.stdout)
            self.assertIn("cached_tokens=", usage)
            self.assertGreater(len(usage.partition(")\n")[2]), 20, "the streamed text")
            self.assertRegex(run.stdout, r"576 Usage\(prompt_tokens=\d+", "the vectors")

    def test_curl_commands(self):
        if not shutil.which("curl"):
            self.skipTest("curl is not installed")
        says = {"/v1/chat": '"chat.completion"', "/v1/completions": "data: [DONE]", "/tokenize": '"count"', "/metrics": "vllm:num_requests_running"}
        with Server(STORIES) as server:
            lines = commands("curl")
            self.assertEqual(len(lines), len(says))
            for line in lines:
                run = subprocess.run(["bash", "-c", line.replace(ADDRESS, server.url)], capture_output=True, text=True, timeout=60)
                self.assertIn(next(text for path, text in says.items() if path in line), run.stdout, line)

    def test_model_commands(self):
        """Without a hub `pull` gets as far as asking it, and `list` shows an empty store."""
        lines = [line for line in commands("folio") if not line.startswith("folio serve")]
        self.assertEqual([line.split()[1] for line in lines], ["pull", "list", "rm"])
        for line in lines:
            run = subprocess.run([program.FOLIO, *shlex.split(line)[1:]], capture_output=True, text=True, timeout=60,
                                 env=self.environment(HF_ENDPOINT="http://127.0.0.1:9"))
            self.assertEqual(run.returncode, 0 if " list" in line else 1, run.stderr)

    def test_the_config_file(self):
        (source,) = blocks("yaml")
        self.assertIn("max-model-len: 16K\n", source)
        small = re.sub(r"^model: .*$", f"model: {STORIES}", source, flags=re.MULTILINE).replace("16K", "0.5K").replace("8G", "80M")
        path = self.write("folio.yaml", small)
        with Server("--config", path) as server:
            models = server.ask("GET", "/v1/models", headers={"Authorization": "Bearer second-key"})[2]["data"]
            self.assertEqual([model["id"] for model in models], ["chat", "llama"])
            self.assertEqual(models[0]["max_model_len"], 512)

    def test_every_endpoint_of_the_page_is_there(self):
        rows = re.search(r"## Endpoints\n\n(.*?)\n\n", PAGE, re.DOTALL)[1].splitlines()[2:]
        told = {path for row in rows for path in re.findall(r"`(/[^`]*)`", row.split("|")[1])}
        with Server(STORIES, "--dev-mode", "--enable-tokenizer-info-endpoint") as server:
            there = set(server.ask("GET", "/openapi.json")[2]["paths"])
        self.assertEqual(told - {"/v1/models/NAME", "/openapi.json"}, there - {"/openapi.json"})


class Watching(ServerCase):
    arguments = (STORIES, "--served-model-name", "stories", "--enable-prompt-tokens-details")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for fields in ({"max_tokens": 9}, {"max_tokens": 3, "n": 2}, {"temperature": -1}):
            cls.server.ask("POST", "/v1/completions", {"prompt": "Once upon a time", "ignore_eos": True} | fields)
        cls.text = cls.server.ask("GET", "/metrics")[2].decode()

    def test_promtool_reads_the_metrics(self):
        """Its opinions about names are about vLLM's; anything else is ours."""
        run = subprocess.run([serving.promtool(), "check", "metrics"], input=self.text, capture_output=True, text=True, timeout=60)
        known = ("metric names should not contain ':'", 'vllm:iteration_tokens_total non-counter metrics should not have "_total" suffix')
        ours = [line for line in (run.stdout + run.stderr).splitlines() if line and not line.endswith(known)]
        self.assertEqual(ours, [])
        self.assertIn(run.returncode, (0, 3), "3: names only")

    def test_promtool_reads_the_scrape_configuration(self):
        run = subprocess.run([serving.promtool(), "check", "config", DEPLOY / "prometheus.yml"], capture_output=True, text=True, timeout=60)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)

    def queries(self):
        dashboard = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
        return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]

    def test_the_dashboard_asks_for_what_is_there(self):
        samples = {}
        for name, labels in re.findall(r"^(\w+:\w+)\{(.*)\} ", self.text, re.MULTILINE):
            samples.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
        queries = self.queries()
        self.assertGreaterEqual(len(queries), 12)
        for query in queries:
            names = re.findall(r"\b(?:vllm|folio):\w+", query)
            self.assertTrue(names, query)
            for name in names:
                self.assertIn(name, samples, query)
            for grouping in re.findall(r"\bby \(([^)]*)\)", query):
                for label in grouping.split(","):
                    self.assertIn(label.strip(), samples[names[0]], query)

    def test_promtool_reads_the_dashboards_queries(self):
        rules = [{"record": f"query:{i}", "expr": query.replace("$__rate_interval", "1m").replace("$model", "stories")}
                 for i, query in enumerate(self.queries())]
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "rules.yml"
            path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
            run = subprocess.run([serving.promtool(), "check", "rules", path], capture_output=True, text=True, timeout=60)
            self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
            self.assertIn(f"{len(rules)} rules found", run.stdout)

    def test_what_the_gateway_reads(self):
        for name in ("vllm:num_requests_waiting", "vllm:num_requests_running", "vllm:kv_cache_usage_perc"):
            self.assertRegex(self.text, rf'(?m)^{name}\{{[^}}]*model_name="stories"[^}}]*\}} 0$')
        config = re.search(r"^vllm:cache_config_info\{(.*)\} 1$", self.text, re.MULTILINE)[1]
        self.assertIn('block_size="16"', config)
        self.assertRegex(config, r'num_gpu_blocks="\d+"')

    def test_steps_count_every_token(self):
        def total(name):
            return sum(float(line.rsplit(" ", 1)[1]) for line in self.text.splitlines() if line.startswith(name + "{"))
        # The last token of an answer is never computed with; the prompt once, its cached part not at all.
        answers = total("vllm:request_success_total")
        computed = total("vllm:prompt_tokens_total") - total("vllm:prompt_tokens_cached_total") + total("vllm:generation_tokens_total") - answers
        self.assertEqual(total("vllm:iteration_tokens_total_sum"), computed)
        self.assertGreater(total("vllm:iteration_tokens_total_count"), 0)
        edges = re.findall(r'^vllm:iteration_tokens_total_bucket\{.*le="([^"]*)"\}', self.text, re.MULTILINE)
        self.assertEqual(edges, ["1", "8", "16", "32", "64", "128", "256", "512", "1024", "2048", "4096", "8192", "16384", "+Inf"])


class Unit(unittest.TestCase):
    def test_systemd_reads_the_unit(self):
        if not shutil.which("systemd-analyze"):
            self.skipTest("systemd-analyze is not installed")
        unit = (DEPLOY / "folio.service").read_text()
        self.assertIn("/usr/local/bin/folio serve --config", unit)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "folio.service"
            path.write_text(unit.replace("/usr/local/bin/folio", program.FOLIO))
            run = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, timeout=60)
        self.assertEqual([line for line in (run.stdout + run.stderr).splitlines() if "folio" in line], [])
        self.assertEqual(run.returncode, 0)


if __name__ == "__main__":
    program.main()
