#!/usr/bin/env python3
"""folio beside another engine on the same model file in the same run, alternating.

Installs the peer's registry package below the folder --home on first use, starts it once, and then measures folio and
the peer in turn, so that whatever the machine does in the meantime happens to both. Prints the medians and the median
of the ratios of the pairs. Prompt and generation are runs of their own, as llama-bench has them: a prompt into an empty
cache, and tokens behind a context that is not timed; of several streams the one follows the other, as people's do.
Standard library only.
"""

import argparse
import json
import math
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading

HERE = pathlib.Path(__file__).resolve().parent
START_TIMEOUT_S, RUN_TIMEOUT_S, INSTALL_TIMEOUT_S = 900, 1800, 1800


class Refusal(Exception):
    """One sentence for the person who started this."""


# ---------------------------------------------------------------------------------------------- peers

class LlamaCpp:
    name = "llama.cpp"
    version = "3.22.1"
    needs = ("npm",)  # to fetch the prebuilt library; nothing of Node.js runs when it is measured
    gives_logits = True
    install_hint = "npm (for instance: apt-get install npm)"

    def install_command(self, folder):
        return ["npm", "install", "--prefix", folder, "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund",
                f"@node-llama-cpp/linux-x64@{self.version}"]

    def command(self, folder, model, threads):
        return ["python3", HERE / "llama_cpp_peer.py", folder, model, threads]


class OpenVino:
    name = "openvino"
    version = "2026.4.1.0"
    needs = ("python3",)
    gives_logits = False
    install_hint = "python3 with pip"

    def install_command(self, folder):
        return [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", folder,
                f"openvino-genai=={self.version}"]

    def command(self, folder, model, threads):
        return ["python3", HERE / "openvino_peer.py", folder, model, threads]


PEERS = {peer.name: peer for peer in (LlamaCpp(), OpenVino())}


def install(peer, home):
    """The folder of the installed package. A stamp is written last: an install that was cut off is done again."""
    folder = home / f"{peer.name}-{peer.version}"
    stamp = folder / "installed"
    if stamp.exists():
        return folder
    for program in peer.needs:
        if not shutil.which(program):
            raise Refusal(f"the peer {peer.name} needs {program}, which is not here; install {peer.install_hint}")
    print(f"installing {peer.name} {peer.version} into {folder}", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True)
        done = subprocess.run([str(word) for word in peer.install_command(folder)], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=INSTALL_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Refusal(f"the peer {peer.name} could not be installed into {folder}: {error}") from None
    if done.returncode != 0:
        lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        reasons = [line for line in lines if "error" in line.lower()] or lines or ["no reason given"]
        raise Refusal(f"the peer {peer.name} could not be installed ({reasons[0][:200]}); check the network and the "
                      f"registry settings, and start again")
    stamp.write_text(peer.version + "\n")
    return folder


class PeerProcess:
    """The peer's script: one JSON line to it, one back."""

    def __init__(self, peer, folder, model, threads):
        self.name = peer.name
        command = [str(word) for word in peer.command(folder, model, threads)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True)
        self.errors = []
        self.collector = threading.Thread(target=self.collect_errors, daemon=True)
        self.collector.start()
        self.version = self.answer(START_TIMEOUT_S)["version"]

    def collect_errors(self):
        for line in self.process.stderr:
            self.errors = [*self.errors[-20:], line.strip()]

    def answer(self, timeout_s):
        timer = threading.Timer(timeout_s, self.process.kill)
        timer.start()
        try:
            for line in self.process.stdout:
                if line.startswith("{"):  # libraries print to standard output too
                    answer = json.loads(line)
                    if "error" in answer:
                        raise Refusal(f"{self.name}: {answer['error']}")
                    return answer
        finally:
            timer.cancel()
        self.process.wait()
        self.collector.join(timeout=5)  # a child of the peer may hold its standard error open
        reason = next((line for line in reversed(self.errors) if line), f"status {self.process.returncode}")
        raise Refusal(f"{self.name} ended without an answer ({reason[:200]})")

    def ask(self, question):
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return self.answer(RUN_TIMEOUT_S)

    def measure(self, shape):
        return rates(shape, self.ask(shape))

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()


# ---------------------------------------------------------------------------------------------- measuring

TESTS = (("prefill", "prompt"), ("decode", "generate"))


def rates(shape, times):
    """Tokens per second of the tests that the shape has."""
    return {test: shape["streams"] * shape[count] / times[f"{test}_s"] for test, count in TESTS if shape[count]}


def measure_folio(args, shape):
    command = [args.folio, "bench", args.model, "--json", "--no-probe", "-r", 1, "-t", args.threads,
               "-p", shape["prompt"], "-n", shape["generate"], "-d", shape["depth"], "-b", shape["streams"]]
    if args.kv_cache_dtype:
        command += ["--kv-cache-dtype", args.kv_cache_dtype]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=RUN_TIMEOUT_S)
    if done.returncode != 0:
        raise Refusal(done.stderr.strip().removeprefix("folio: "))
    return {row["test"]: row["tokens_per_s"] for row in json.loads(done.stdout)["rows"]}


def compare(args, process, shape):
    """Pairs of rates, [(folio, peer)] per test; the peer warms up once, folio in every run of its own."""
    process.measure(shape)
    pairs = []
    for _ in range(args.repetitions):
        pairs.append((measure_folio(args, shape), process.measure(shape)))
    rows = []
    for test in pairs[0][1]:
        ours, theirs = [pair[0][test] for pair in pairs], [pair[1][test] for pair in pairs]
        rows.append({"test": test, **shape, "folio_tokens_per_s": statistics.median(ours),
                     "peer_tokens_per_s": statistics.median(theirs),
                     "ratio": statistics.median(a / b for a, b in zip(ours, theirs)),
                     "folio_all": ours, "peer_all": theirs})
    return rows


def shapes(args):
    empty = {"prompt": 0, "generate": 0, "depth": 0, "streams": 1}
    if args.prompt:
        yield {**empty, "prompt": args.prompt}
    for depth in args.depth if args.gen else ():
        yield {**empty, "generate": args.gen, "depth": depth}
    for streams in args.batch:
        if streams > 1:
            yield {"prompt": args.batch_prompt, "generate": args.batch_gen, "depth": 0, "streams": streams}


COLUMNS = "{:<8} {:>7} {:>6} {:>6} {:>4}  {:>11} {:>11}  {:>7}"


def print_row(row):
    tokens = [row[name] or "-" for name in ("prompt", "depth")] + [row["generate"] if row["test"] == "decode" else "-"]
    print(COLUMNS.format(row["test"], row["streams"], *tokens, f"{row['folio_tokens_per_s']:.1f}",
                         f"{row['peer_tokens_per_s']:.1f}", f"{row['ratio']:.2f}x"), flush=True)


def warn_if_busy(threads):
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"dev: others use this machine (load {load:.1f} before the start); threads that wait for each other lose more "
              f"than their share of {threads}, so these ratios say little", file=sys.stderr)


def run(args):
    peer = PEERS[args.peer]
    warn_if_busy(args.threads)
    folder = install(peer, args.home)
    process = PeerProcess(peer, folder, args.model, args.threads)
    rows = []
    try:
        if not args.json:
            print(f"{args.model}\n{args.threads} threads; medians of {args.repetitions} alternating runs; beside "
                  f"{process.version}\n")
            print(COLUMNS.format("", "", "", "", "", "folio", peer.name, ""))
            print(COLUMNS.format("test", "streams", "prompt", "depth", "gen", "tok/s", "tok/s", "ratio"))
        for shape in shapes(args):
            for row in compare(args, process, shape):
                rows.append(row)
                if not args.json:
                    print_row(row)
    finally:
        process.close()
    if args.json:
        print(json.dumps({"peer": process.version, "model": args.model, "threads": args.threads,
                          "repetitions": args.repetitions, "rows": rows}, indent=2))


# ---------------------------------------------------------------------------------------------- divergence

def divergence_line(sums):
    n = sums["positions"]
    return (f"KLD mean {sums['divergence'] / n:.2e}, largest {sums['largest']:.1e}; top-1 {sums['top1_equal']}/{n} equal; "
            f"perplexity {math.exp(sums['nll'] / n):.4f} for {math.exp(sums['exact_nll'] / n):.4f}")


def diverge(args):
    """How far folio's ways to round activations and the peer lie from folio with float activations, on the same tokens."""
    peer = PEERS[args.peer]
    if not peer.gives_logits:
        raise Refusal(f"the peer {peer.name} gives no probabilities; --kld goes with llama.cpp")
    golden = pathlib.Path(args.folio).parent / "folio-golden"
    if not golden.exists():
        raise Refusal(f"{golden} is not there; run: ./dev build folio-golden")
    kv = args.kv_cache_dtype if args.kv_cache_dtype not in (None, "auto") else "f16"
    folder = install(peer, args.home)
    with tempfile.TemporaryDirectory() as scratch:
        exact = pathlib.Path(scratch) / "exact"
        command = [golden, "--model", args.model, "--kld", args.kld, "--tokens", args.tokens, "--kv", kv, "--exact", exact]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=RUN_TIMEOUT_S)
        lines = done.stdout.splitlines()
        if done.returncode > 1 or not exact.exists():
            raise Refusal((lines or done.stderr.splitlines() or ["folio-golden failed"])[0])
        print(f"{args.model}\n{args.tokens} tokens of {args.kld}; KV {kv}; against folio with f32 activations and KV\n")
        print("\n".join(line[6:] for line in lines if "KLD" in line), flush=True)
        process = PeerProcess(peer, folder, args.model, args.threads)
        try:
            sums = process.ask({"exact": str(exact), "kv": kv.upper()})
        finally:
            process.close()
    print(f"{process.version[:44]:<44} {divergence_line(sums)}")


def counts(least, most):
    def whole_numbers(text):  # argparse names the function where it refuses
        values = [int(word) for word in text.split(",")]
        if not all(least <= value <= most for value in values):
            raise ValueError
        return values
    return whole_numbers


def tokens(text):
    value = int(text)
    if not 0 <= value <= 1 << 20:
        raise ValueError
    return value


def positive(text):
    value = tokens(text)
    if value < 1:
        raise ValueError
    return value


def main():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("model", nargs="?", help="a GGUF file")
    parser.add_argument("--default-model", required=True, help="where MODEL is not given")
    parser.add_argument("--peer", choices=PEERS, required=True)
    parser.add_argument("--folio", required=True, help="the folio program")
    parser.add_argument("--home", type=pathlib.Path, required=True, help="the folder for the peers' packages")
    parser.add_argument("-p", "--prompt", type=tokens, default=512, help="prompt of one stream; 0: none (default 512)")
    parser.add_argument("-n", "--gen", type=tokens, default=64, help="tokens that one stream generates; 0: none (default 64)")
    parser.add_argument("-d", "--depth", type=counts(0, 1 << 20), default=[0],
                        help="context that they are generated behind: 0,4096 (default 0)")
    parser.add_argument("-b", "--batch", type=counts(1, 256), default=[], help="streams side by side too: 8,32 (default none)")
    parser.add_argument("--batch-prompt", type=positive, default=256, help="prompt of each of them (default 256)")
    parser.add_argument("--batch-gen", type=positive, default=32, help="tokens that each generates (default 32)")
    parser.add_argument("-r", "--repetitions", type=positive, default=5, help="pairs of runs (default 5)")
    parser.add_argument("-t", "--threads", type=positive, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--kv-cache-dtype", choices=("auto", "f32", "f16", "bf16"), help="of folio")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    parser.add_argument("--kld", metavar="TEXT", help="no rates: how far the probabilities of both lie from those of float "
                        "activations, on the beginning of this file")
    parser.add_argument("--tokens", type=positive, default=256, help="so many tokens of it (default 256)")
    args = parser.parse_args()
    args.model = args.model or args.default_model
    if not os.path.isfile(args.model):
        sys.exit(f"dev: there is no model file {args.model}; peers read GGUF files")
    args.model = os.path.abspath(args.model)
    if not args.kld and not any(True for _ in shapes(args)):
        sys.exit("dev: nothing to measure: give --prompt or --gen above 0, or --batch")
    try:
        (diverge if args.kld else run)(args)
    except Refusal as refusal:
        sys.exit(f"dev: {refusal}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
