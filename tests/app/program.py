"""The folio program for tests: finds it, its models, and runs it. Standard library only."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests" / "fixtures"
STORIES = FIXTURES / "stories260k" / "stories260k.gguf"
FOLIO = None  # set by main()


def default_model():
    """The default model; skips where it was not fetched, fails where FOLIO_SHARED promises everything."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    home = os.environ.get("FOLIO_HOME") or os.path.join(cache, "folio")
    path = os.environ.get("FOLIO_TEST_MODEL") or os.path.join(home, "models", "SmolLM2-135M-Instruct.Q4_1.gguf")
    if not os.path.exists(path):
        assert not os.environ.get("FOLIO_SHARED"), f"the default model is missing: {path}"
        raise unittest.SkipTest("the default model was not fetched")
    return path


class Case(unittest.TestCase):
    """Gives every test a folder of its own, as FOLIO_HOME too."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="folio-app-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def environment(self, **more):
        base = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FOLIO_HOME")}
        return base | {"FOLIO_HOME": str(self.folder), "TERM": "xterm"} | more

    def folio(self, *arguments, stdin=b"", timeout=120, **options):
        if isinstance(stdin, str):
            stdin = stdin.encode()
        return subprocess.run([FOLIO, *map(os.fsencode, arguments)], input=stdin, capture_output=True, timeout=timeout,
                              env=self.environment(), **options)

    def fails(self, *arguments, status=1, says=(), **options):
        """The program ends with `status`, nothing on standard output and one sentence on standard error."""
        result = self.folio(*arguments, **options)
        error = result.stderr.decode()
        self.assertEqual(result.returncode, status, error)
        self.assertEqual(result.stdout, b"")
        self.assertEqual(error.count("\n"), 1, error)
        self.assertTrue(error.startswith("folio: "), error)
        for text in [says] if isinstance(says, str) else says:
            self.assertIn(text, error)
        return error

    def write(self, name, content):
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path


def version():
    """What the program says of itself: "folio 0.1.0 (release+asan, ...)"."""
    return subprocess.run([FOLIO, "--version"], capture_output=True, text=True, check=True).stdout


def main():
    global FOLIO
    if len(sys.argv) < 2:
        sys.exit(f"usage: {sys.argv[0]} build/folio [unittest arguments]")
    FOLIO = os.path.abspath(sys.argv.pop(1))
    sys.modules.setdefault("program", sys.modules[__name__])
    # A skipped test is a line that ./dev test repeats at its end.
    result = unittest.main(module="__main__", exit=False, verbosity=2).result
    for _, reason in result.skipped:
        print(f"NOT RUN: {reason}")
    sys.exit(0 if result.wasSuccessful() else 1)
