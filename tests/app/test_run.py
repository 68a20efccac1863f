#!/usr/bin/env python3
"""folio run with one prompt, and everything that can be wrong with it."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import program  # noqa: E402
from gguf_file import Gguf  # noqa: E402
from program import FIXTURES, ROOT, STORIES, Case  # noqa: E402

STATS = re.compile(r"^prompt \d+ tokens?, \d+ from the cache; generated \d+; first token after [\d.]+ m?s; prefill [\d.]+ tok/s; "
                   r"decode ([\d.]+ tok/s|-); KV \d+ blocks?, [\d.]+ (KB|MB|bytes)")


class Answers(Case):
    def test_published_text(self):
        result = self.folio("run", STORIES, "--raw", "-p", "", "--temperature", "0", "-n", "200")
        golden = (FIXTURES / "stories260k" / "golden.txt").read_bytes()
        self.assertEqual(result.stdout, golden + b"\n")
        self.assertEqual(result.returncode, 0)
        error = result.stderr.decode()
        self.assertEqual(error.count("\n"), 1, error)
        self.assertRegex(error, STATS)
        self.assertIn("generated 200;", error)

    def test_same_text_without_the_cache_and_for_any_type_of_it(self):
        base = ("run", STORIES, "--raw", "-p", "Once upon a time", "--temperature", "0", "-n", "40", "--no-stats")
        for kv_type in ("f32", "f16", "bf16"):
            cached = self.folio(*base, "--kv-cache-dtype", kv_type)
            recomputed = self.folio(*base, "--kv-cache-dtype", kv_type, "--no-kv-cache", "-t", "1")
            self.assertTrue(cached.stdout)
            self.assertEqual(cached.stdout, recomputed.stdout)
            self.assertEqual(cached.stderr, b"")

    def test_prompt_from_flag_file_and_standard_input(self):
        path = self.write("prompt.txt", "Lily went to\n")
        base = ("run", STORIES, "--raw", "--temperature", "0", "-n", "20")
        from_flag = self.folio(*base, "-p", "Lily went to").stdout
        self.assertTrue(from_flag)
        self.assertEqual(self.folio(*base, "-f", path).stdout, from_flag)
        self.assertEqual(self.folio(*base, stdin="Lily went to\n").stdout, from_flag)
        self.assertEqual(self.folio(*base, "-f", "-", stdin="Lily went to\r\n").stdout, from_flag)

    def test_seed_and_stop(self):
        base = ("run", STORIES, "--raw", "-p", "Once", "-n", "40", "--temperature", "1")
        first, second = (self.folio(*base, "--seed", "5").stdout for _ in range(2))
        self.assertEqual(first, second)
        self.assertNotEqual(first, self.folio(*base, "--seed", "6").stdout)
        whole = self.folio(*base, "--seed", "5", "--no-stats").stdout.decode()
        word = whole.split()[4]
        stopped = self.folio(*base, "--seed", "5", "--stop", word).stdout.decode()
        self.assertEqual(stopped.rstrip("\n"), whole[:whole.index(word)])

    def test_a_hugging_face_directory_without_a_tokenizer_says_so(self):
        self.fails("run", FIXTURES / "llama-gqa", "-p", "x", says="token")

    def test_verbose_names_what_was_loaded(self):
        result = self.folio("run", STORIES, "-p", "Hi", "-n", "4", "--verbose", "--seed", "3")
        for text in (b"weights", b"context 512 tokens", b"kernels", b"seed 3", b"transcript"):
            self.assertIn(text, result.stderr)

    def test_no_escape_codes_and_no_bar_without_a_terminal(self):
        result = self.folio("run", STORIES, "-p", "Hi", "-n", "4")
        self.assertNotIn(b"\x1b", result.stdout + result.stderr)
        self.assertNotIn(b"\r", result.stderr)

    def test_default_model_chats_and_stops_by_itself(self):
        model = program.default_model()
        result = self.folio("run", model, "-p", "Say hello.", "--temperature", "0", "-n", "60", timeout=300)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertTrue(result.stdout.strip())
        self.assertNotIn(b"<|im_end|>", result.stdout)


class BadInput(Case):
    def test_missing_and_unknown_models(self):
        self.fails("run", "-p", "x", says="./dev run")  # FOLIO_HOME is empty
        self.fails("run", "no-such.gguf", "-p", "x", says=("no-such.gguf", "GGUF"))
        self.fails("run", "SmolLM2", "-p", "x", says="SmolLM2")
        self.fails("run", self.folder, "-p", "x", says="config.json")
        self.fails("run", self.write("page.gguf", "<!DOCTYPE html>"), "-p", "x", says="page.gguf")

    def test_a_missing_model_is_named_before_a_prompt_is_waited_for(self):
        read, write = os.pipe()  # nobody writes: a prompt would be waited for
        with os.fdopen(write, "wb"), os.fdopen(read, "rb") as stdin:
            result = subprocess.run([program.FOLIO, "run", "no-such.gguf"], stdin=stdin, capture_output=True, timeout=60, env=self.environment())
        self.assertEqual(result.returncode, 1)
        self.assertIn(b"no-such.gguf", result.stderr)

    def test_a_fifo_in_a_model_directory_is_not_waited_for(self):
        folder = self.folder / "model"
        shutil.copytree(FIXTURES / "llama-gqa", folder)
        (folder / "generation_config.json").unlink(missing_ok=True)
        os.mkfifo(folder / "generation_config.json")
        self.fails("run", folder, "-p", "x", timeout=60, says=("generation_config.json", "not a regular file"))

    def test_unsupported_architecture_is_named_with_the_supported_ones(self):
        model = self.write("x.gguf", Gguf(STORIES.read_bytes()).set("general.architecture", "mamba").build())
        self.fails("run", model, "-p", "x", says=("x.gguf", "mamba", "llama"))

    def test_unsupported_tensor_type(self):
        gguf = Gguf(STORIES.read_bytes())
        name = len(b"token_embd.weight")
        at = gguf.table.index(b"token_embd.weight") + name + 4 + 16
        gguf.table = gguf.table[:at] + (36).to_bytes(4, "little") + gguf.table[at + 4:]
        self.fails("run", self.write("x.gguf", gguf.build()), "-p", "x", says=("x.gguf", "token_embd.weight", "36", "Q4_0"))

    def test_truncated_files(self):
        whole = STORIES.read_bytes()
        for length in (0, 3, 20, 100, 5000, 20000, len(whole) // 2, len(whole) - 1):
            with self.subTest(length=length):
                self.fails("run", self.write("cut.gguf", whole[:length]), "-p", "x", says="cut.gguf")

    def test_context_too_long(self):
        self.fails("run", STORIES, "-p", "x", "-c", "513", says=("513", "512"))
        self.fails("run", STORIES, "--raw", "-p", "word " * 600, says=("context of 512",))
        self.fails("run", STORIES, "--raw", "-p", "word " * 30, "-c", "16", says=("context of 16", "--ctx-size"))

    def test_invalid_utf8(self):
        self.fails("run", STORIES, "-p", b"ab\xffcd", says=("--prompt", "byte 2", "0xFF"))
        self.fails("run", STORIES, "--system", b"\xc3", "-p", "x", says=("--system", "byte 0"))
        self.fails("run", STORIES, "--stop", b"a\x80", "-p", "x", says=("--stop", "byte 1"))
        self.fails("run", STORIES, stdin=b"abc\xed\xa0\x80", says=("standard input", "byte 3"))
        self.fails("run", STORIES, "-f", self.write("p.txt", b"\xf5"), says=("p.txt", "byte 0"))

    def test_prompt_files(self):
        self.fails("run", STORIES, "-f", self.folder / "none.txt", says="none.txt")
        self.fails("run", STORIES, "-f", self.folder, says="directory")
        self.fails("run", STORIES, says="empty")
        self.fails("run", STORIES, "-p", "", says="empty")

    def test_a_template_that_raises_or_is_broken(self):
        gguf = Gguf(STORIES.read_bytes())
        raising = "{{ raise_exception('Only even days are fine') }}"
        model = self.write("raise.gguf", gguf.set("tokenizer.chat_template", raising).build())
        self.fails("run", model, "-p", "x", says="Only even days are fine")
        model = self.write("broken.gguf", gguf.set("tokenizer.chat_template", "{% if %}").build())
        self.fails("run", model, "-p", "x", says="template")

    def test_generation_config(self):
        model = self.folder / "model"
        model.mkdir()
        for file in (FIXTURES / "llama-gqa").iterdir():
            if file.name in ("config.json", "model.safetensors"):
                (model / file.name).symlink_to(file)
        for content, says in (("[1]", "object"), ("{", ""), ('{"top_p": "x"}', "top_p"), ('{"top_p": 7}', "top_p")):
            (model / "generation_config.json").write_text(content)
            with self.subTest(content=content):
                self.fails("run", model, "-p", "x", says=("generation_config.json", says))

    def test_wrong_command_lines_are_exit_status_2(self):
        for arguments in (["rnu"], ["run", "--frobnicate"], ["run", "--top-k", "many"], ["run", "-p"], ["completion", "csh"]):
            with self.subTest(arguments=arguments):
                self.fails(*arguments, status=2)

    def test_forced_kernels_that_do_not_exist(self):
        result = subprocess.run([program.FOLIO, "run", STORIES, "-p", "x"], capture_output=True, stdin=subprocess.DEVNULL,
                                env=self.environment(FOLIO_ISA="mmx"), timeout=60)
        self.assertEqual(result.returncode, 1)
        self.assertIn(b"FOLIO_ISA=mmx", result.stderr)


class Streams(Case):
    def start(self, *arguments, **streams):
        return subprocess.Popen([program.FOLIO, *map(str, arguments)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                env=self.environment(), **streams)

    def one_sentence(self, process, status=1):
        error = process.communicate(timeout=60)[1].decode()
        self.assertEqual(process.returncode, status, error)
        self.assertEqual(error.count("\n"), 1, error)
        return error

    def test_a_closed_pipe(self):
        process = self.start("run", STORIES, "--raw", "-p", "Once", "--temperature", "1", "--no-kv-cache", stdout=subprocess.PIPE)
        process.stdout.read(1)
        process.stdout.close()
        process.stdout = None
        self.assertIn("standard output was closed", self.one_sentence(process))

    def test_a_full_disk(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full")
        with open("/dev/full", "wb") as full:
            self.assertIn("No space left", self.one_sentence(self.start("run", STORIES, "-p", "Hi", stdout=full)))
            self.assertIn("No space left", self.one_sentence(self.start("--help", stdout=full)))
            self.assertIn("No space left", self.one_sentence(self.start("inspect", STORIES, stdout=full)))

    def test_no_standard_output_at_all(self):
        process = self.start("run", STORIES, "-p", "Hi", preexec_fn=lambda: os.close(1))
        self.assertIn("standard output", self.one_sentence(process))

    def test_ctrl_c_ends_a_one_shot_answer_with_130(self):
        model = program.default_model()
        process = self.start("run", model, "-p", "Count from 1 to 1000.", "--temperature", "0", stdout=subprocess.PIPE)
        process.stdout.read(1)
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        error = process.communicate(timeout=60)[1].decode()
        self.assertLess(time.monotonic() - started, 20)
        self.assertEqual(process.returncode, 130, error)
        self.assertRegex(error, STATS)
        self.assertIn("stopped by Ctrl-C", error)


class Information(Case):
    def test_version_is_that_of_the_build(self):
        version = re.search(r"project\(folio VERSION ([\d.]+)", (ROOT / "CMakeLists.txt").read_text()).group(1)
        self.assertRegex(self.folio("--version").stdout.decode(), rf"^folio {re.escape(version)} \((release|debug)\S*, .*kernels: reference")

    def test_help(self):
        for arguments in ([], ["--help"], ["run", "--help"], ["inspect", "-h"], ["completion", "--help"]):
            result = self.folio(*arguments)
            self.assertEqual((result.returncode, result.stderr), (0, b""))
            self.assertIn(b"Usage: folio", result.stdout)

    def test_completion_scripts(self):
        script = self.folio("completion", "bash").stdout
        path = self.write("folio.bash", script)
        ask = ('source "$1"; COMP_WORDS=("${@:2}"); COMP_CWORD=$(($# - 2)); _folio; printf "%s\\n" "${COMPREPLY[@]}"')

        def completed(*words):
            return subprocess.run(["bash", "-c", ask, "bash", path, *words], capture_output=True, text=True, check=True).stdout.split()

        self.assertEqual(completed("folio", "ru"), ["run"])
        self.assertEqual(completed("folio", "run", "--kv-cache-d"), ["--kv-cache-dtype"])
        self.assertEqual(completed("folio", "run", "--kv-cache-dtype", "f"), ["f32", "f16"])
        self.assertEqual(completed("folio", "completion", "z"), ["zsh"])
        for shell in ("zsh", "fish"):
            self.assertIn(b"kv-cache-dtype", self.folio("completion", shell).stdout)


if __name__ == "__main__":
    program.main()
