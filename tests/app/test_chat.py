#!/usr/bin/env python3
"""folio run as a chat on a pseudo-terminal."""

import json
import os
import pty
import re
import select
import signal
import stat
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import program  # noqa: E402
from program import STORIES, Case  # noqa: E402

STATS = re.compile(r"prompt (\d+) tokens?, (\d+) from the cache; generated (\d+)")


class Terminal:
    """A chat on a pseudo-terminal: sends keys, waits for texts."""

    def __init__(self, case, *arguments, environment=None):
        self.seen, self.case = "", case
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(program.FOLIO, [program.FOLIO, "run", *map(str, arguments)], environment or case.environment())
        case.addCleanup(self.close)

    def close(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0
        os.close(self.fd)

    def send(self, text):
        os.write(self.fd, text.encode())

    def read(self, seconds):
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # the other side is gone
            return False
        self.seen += data.decode(errors="replace")
        return bool(data)

    def expect(self, pattern, seconds=60):
        """Waits until `pattern` comes and returns everything up to its end, which is then forgotten."""
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self.seen)):
            if time.monotonic() > deadline or not self.read(deadline - time.monotonic()):
                self.case.fail(f"{pattern!r} did not come; there was: {self.seen!r}")
        text, self.seen = self.seen[:found.end()], self.seen[found.end():]
        return text

    def ask(self, line):
        """Sends a message; returns (prompt, cached, generated) of the line of figures after the answer."""
        self.send(line + "\r")
        text = self.expect(STATS.pattern)
        self.expect(r"> $")
        return tuple(map(int, STATS.search(text).groups()))

    def exit_status(self, seconds=20):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.read(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                return os.waitstatus_to_exitcode(status)
        self.case.fail(f"the chat did not end; there was: {self.seen!r}")


class Chat(Case):
    def start(self, *arguments, **options):
        terminal = Terminal(self, STORIES, "--temperature", "0", *arguments, **options)
        terminal.expect(r"> $")
        return terminal

    def test_the_next_turn_comes_from_the_cache(self):
        chat = self.start("-n", "60")
        prompt, cached, generated = chat.ask("Tell me a story of a girl named Lily and her big red ball.")
        self.assertEqual((cached, generated), (0, 60))
        next_prompt, next_cached, _ = chat.ask("And then?")
        self.assertGreaterEqual(next_cached + 32, prompt + generated)
        self.assertLess(next_cached, next_prompt)
        chat.send("\x04")
        self.assertEqual(chat.exit_status(), 0)

    def test_ctrl_c_ends_the_answer_and_a_second_one_says_how_to_leave(self):
        chat = self.start("--no-kv-cache", "--activations", "f32", "-t", "1")  # slow enough to be met on its way
        chat.send("Once upon a time there was a girl with a dog.\r")
        chat.expect(r"\r\n\w+")  # the answer has begun
        chat.send("\x03")
        chat.expect(r"stopped by Ctrl-C")
        chat.expect(r"> $")
        chat.send("\x03")
        chat.expect(r"Ctrl-D or /exit leaves")
        chat.expect(r"> $")
        chat.send("/exit\r")
        self.assertEqual(chat.exit_status(), 0)

    def test_ctrl_d_typed_ahead_ends_the_chat_after_the_answer(self):
        chat = self.start("-n", "400")
        chat.send("Once upon a time there was a girl with a dog.\r")
        chat.expect(r"\r\n\w+")  # the answer has begun
        chat.send("\x04")
        chat.expect(STATS.pattern)
        self.assertEqual(chat.exit_status(), 0)

    def test_ctrl_c_at_the_prompt_drops_the_line(self):
        chat = self.start("-n", "5")
        chat.send("half a li")
        chat.expect("half a li")
        chat.send("\x03")
        chat.expect(r"> $")
        chat.send("/save " + str(self.folder / "c.json") + "\r")
        chat.expect("0 messages written")

    def test_line_editing_history_and_completion(self):
        chat = self.start("-n", "3")
        chat.ask("first mesage\x1b[D\x1b[D\x1b[D\x1b[Ds")  # four to the left, a letter put in
        chat.ask("\x1b[A")  # the line before again
        path = self.folder / "c.json"
        chat.send("/sa\t" + str(path) + "\r")
        chat.expect("4 messages written")
        chat.expect(r"> $")
        chat.send("\x04")
        self.assertEqual(chat.exit_status(), 0)
        messages = json.loads(path.read_text())["messages"]
        self.assertEqual([m["content"] for m in messages if m["role"] == "user"], ["first message"] * 2)
        history = self.folder / "history"
        self.assertEqual(stat.S_IMODE(history.stat().st_mode), 0o600)
        self.assertEqual(history.read_text().splitlines(), ["first message", f"/save {path}"])
        again = self.start("-n", "3")
        again.ask("\x1b[A\x1b[A")  # of the chat before
        again.send(f"/save {path}\r")
        again.expect("2 messages written")
        self.assertEqual(json.loads(path.read_text())["messages"][0]["content"], "first message")

    def test_characters_beyond_ascii_in_any_locale(self):
        for locale in ("C", "C.UTF-8"):
            path = self.folder / f"{locale}.json"
            chat = self.start("-n", "3", environment=self.environment(LC_ALL=locale))
            chat.ask("Gr\u00fc\u00dfe \u65e5\u672c \U0001f600")
            chat.send(f"/save {path}\r")
            chat.expect("2 messages written")
            self.assertEqual(json.loads(path.read_text())["messages"][0]["content"], "Gr\u00fc\u00dfe \u65e5\u672c \U0001f600")

    def test_messages_of_several_lines(self):
        chat = self.start("-n", "3")
        chat.send('"""one\r')
        chat.expect(r"\.\.\. $")
        chat.ask('two"""')
        path = self.folder / "c.json"
        chat.send(f"/save {path}\r")
        chat.expect("2 messages written")
        self.assertEqual(json.loads(path.read_text())["messages"][0]["content"], "one\ntwo")

    def test_branches_and_regenerate(self):
        chat = self.start("-n", "30", "--kv-tokens", "4096")
        chat.ask("Tell me of a boy named Tim who had a big blue boat and of his friend.")
        chat.send("/fork other\r")
        chat.expect("Branch other goes on from main with 2 messages")
        _, cached, _ = chat.ask("She was sad.")
        self.assertGreater(cached, 16)
        chat.send("/switch main\r")
        chat.expect("Branch main, 2 messages")
        _, cached, _ = chat.ask("/regenerate")
        self.assertGreater(cached, 0)

    def test_a_conversation_that_outgrows_the_context(self):
        chat = self.start("-n", "30", "-c", "64")
        chat.ask("Hello.")
        chat.send("word " * 40 + "\r")
        chat.expect(r"folio: the conversation would have \d+ tokens .*context of 64; /clear")
        chat.send("/clear\r")
        chat.expect("empty")
        chat.ask("Hello.")

    def test_a_resumed_chat_goes_on(self):
        chat = self.start("-n", "3")
        os.kill(chat.pid, signal.SIGSTOP)
        time.sleep(0.1)
        os.kill(chat.pid, signal.SIGCONT)
        os.kill(chat.pid, signal.SIGWINCH)
        time.sleep(0.2)
        chat.ask("Hello.")

    def test_colour_only_where_it_is_wanted(self):
        dim = "\x1b[2m"
        with_colour = Terminal(self, STORIES)
        self.assertIn(dim, with_colour.expect(r"leaves\."))
        without = Terminal(self, STORIES, environment=self.environment(NO_COLOR="1"))
        self.assertNotIn(dim, without.expect(r"leaves\."))

    def test_the_default_model_says_once_that_it_is_small(self):
        model = program.default_model()
        models = self.folder / "models"
        models.mkdir()
        (models / "SmolLM2-135M-Instruct.Q4_1.gguf").symlink_to(os.path.abspath(model))
        first = Terminal(self, "-c", "256", "-n", "4")
        text = first.expect(r"> $")
        self.assertIn("often wrong", text)
        self.assertIn("Llama-3.2-1B-Instruct", text)
        first.ask("Hello")
        second = Terminal(self, "-c", "256")
        self.assertNotIn("often wrong", second.expect(r"> $"))

    def test_the_default_model_reuses_the_last_turn(self):
        chat = Terminal(self, program.default_model(), "--temperature", "0", "-n", "80", "-c", "1024")
        chat.expect(r"> $")
        prompt, _, generated = chat.ask("What is the sea? Answer in three sentences.")
        _, cached, _ = chat.ask("And a lake?")
        self.assertGreaterEqual(cached + 32, prompt + generated)


if __name__ == "__main__":
    program.main()
