#!/usr/bin/env python3
"""Measures `folio serve` as clients see it, and prints the figures that docs/benchmarks.md explains.

Each part starts a server of its own on a free port of 127.0.0.1. The client is one process of one thread: on a small
machine it takes its share of the processors, which is shown. Standard library only.
"""

import argparse
import asyncio
import json
import os
import pathlib
import random
import re
import resource
import signal
import statistics
import subprocess
import sys
import time

PARTS = ("start", "chats", "warm", "beside", "idle")
START_TIMEOUT_S, END_TIMEOUT_S = 600, 60
STREAMS = 8  # that go on while a long prompt is computed
CALM_TOKENS = 40  # of each of them, before it comes
DEFAULT_STEP_BUDGET_MS = 250
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
# Everything but computing: the thread that started the process does all input and output, the other prepares requests.
IO_THREAD, PREPARE_THREAD = "folio", "folio-prepare"
WORDS = ("the of and to in is was for that with his from they have this but not are which one all were when there can more other "
         "some time very into your good water people work first way long find day get come made may part over new sound take only").split()


class Refusal(Exception):
    """One sentence for the person who started this."""


class Server:
    """folio serve on a free port; seconds from its start to the first 200 of /health in `start_s`."""

    def __init__(self, args, *more):
        variables = {key: value for key, value in os.environ.items() if not key.startswith(("FOLIO_", "VLLM_")) or key == "FOLIO_ISA"}
        begin = time.perf_counter()
        self.process = subprocess.Popen([args.folio, "serve", args.model, "--port", "0", *args.serve_args, *more], stderr=subprocess.PIPE,
                                        stdout=subprocess.DEVNULL, text=True, env=variables)
        notes = []
        for line in self.process.stderr:
            notes.append(line.strip())
            if found := re.search(r"serving (\S+) at http://[\d.]+:(\d+):.* (\d+) for one request at most", line):
                break
        else:
            raise Refusal(f"folio serve did not start: {notes[-1] if notes else 'it said nothing'}")
        self.model, self.port, self.longest = found[1], int(found[2]), int(found[3])
        self.health_s = asyncio.run(self.until_healthy(begin))

    async def until_healthy(self, begin):
        while time.perf_counter() - begin < START_TIMEOUT_S:
            try:
                status, _ = await ask(self.port, "GET", "/health")
                if status == 200:
                    return time.perf_counter() - begin
            except ConnectionError:
                pass
            await asyncio.sleep(0.002)
        raise Refusal(f"folio serve was not healthy within {START_TIMEOUT_S} s")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stderr.close()

    def thread_seconds(self):
        """CPU seconds of each kind of thread."""
        seconds = {}
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            fields = (task / "stat").read_text().rpartition(")")[2].split()
            name = (task / "comm").read_text().strip()
            seconds[name] = seconds.get(name, 0) + (int(fields[11]) + int(fields[12])) / TICKS_PER_S
        return seconds

    def resident_bytes(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024


# ---------------------------------------------------------------------------------------------- a client

async def send(writer, method, path, body):
    data = b"" if body is None else json.dumps(body).encode()
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
    await writer.drain()


async def read_head(reader):
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = re.search(r"\r\ncontent-length: (\d+)", head)
    return int(head.split()[1]), int(length[1]) if length else None


async def ask(port, method, path, body=None):
    """(status, body) over a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
    try:
        await send(writer, method, path, body)
        status, length = await read_head(reader)
        text = await reader.readexactly(length)
        return status, json.loads(text) if text.startswith((b"{", b"[")) else text
    finally:
        writer.close()


async def stream(port, body, path="/v1/chat/completions", marks=None):
    """One answer's times in seconds and its counts; {"error": ...} where there is none. `marks` gets the times as they come."""
    body = body | {"stream": True, "stream_options": {"include_usage": True}, "temperature": 0, "ignore_eos": True}
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
    except OSError as error:
        return {"error": str(error)}
    begin, marks, usage = time.perf_counter(), [] if marks is None else marks, {}
    try:
        await send(writer, "POST", path, body)
        status, length = await read_head(reader)
        if status != 200:
            return {"error": (await reader.readexactly(length or 0)).decode()[:300]}
        while True:
            size = int(await reader.readuntil(b"\r\n"), 16)
            piece = (await reader.readexactly(size + 2))[:-2]
            now = time.perf_counter()
            if size == 0:
                break
            for event in piece.split(b"\n\n"):
                if not event.startswith(b"data: {"):
                    continue
                said = json.loads(event[6:])
                if "error" in said:
                    return {"error": str(said["error"])[:300]}
                usage = said.get("usage") or usage
                if any(choice.get("text") or choice.get("delta", {}).get("content") or choice.get("token_ids") for choice in said["choices"]):
                    marks.append(now)
    except (OSError, ValueError, asyncio.IncompleteReadError) as error:
        return {"error": f"{type(error).__name__}: {error}"[:300]}
    finally:
        writer.close()
    if not marks:
        return {"error": "an answer without text"}
    return {"ttft_s": marks[0] - begin, "itl_s": [b - a for a, b in zip(marks, marks[1:])], "begin_s": begin, "end_s": marks[-1],
            "prompt_tokens": usage["prompt_tokens"], "output_tokens": usage["completion_tokens"],
            "cached_tokens": usage["prompt_tokens_details"]["cached_tokens"]}


async def conversation(port, tokens, seed):
    """Messages that the model's template makes `tokens` tokens of, or as near as whole words get."""
    draw, words = random.Random(seed), []
    want = tokens
    for _ in range(6):
        words = words[:want] + draw.choices(WORDS, k=max(0, want - len(words)))
        status, said = await ask(port, "POST", "/tokenize", {"messages": [{"role": "user", "content": " ".join(words)}]})
        if status != 200:
            raise Refusal(f"/tokenize: {said['error']['message']}")
        if said["count"] == tokens:
            break
        want = max(1, round(len(words) * tokens / said["count"]))
    return [{"role": "user", "content": " ".join(words)}]


def spread(values):
    ordered = sorted(values)
    if not ordered:
        return None
    def at(share):
        return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]
    return {"p50": at(0.5), "p99": at(0.99), "max": ordered[-1]}


# ---------------------------------------------------------------------------------------------- the parts

def measure_start(args):
    seconds = []
    for _ in range(args.repetitions + 1):
        with Server(args) as server:
            seconds.append(server.health_s)
    warm = seconds[1:]  # the first one fills the file cache
    return {"health_s": {"median": statistics.median(warm), "min": min(warm), "max": max(warm)}}


async def run_chats(server, args, count):
    prompts = [await conversation(server.port, args.prompt, seed) for seed in range(count)]
    before, client = server.thread_seconds(), time.process_time()
    records = await asyncio.gather(*(stream(server.port, {"messages": messages, "max_tokens": args.gen}) for messages in prompts))
    client = time.process_time() - client
    after = server.thread_seconds()
    good = [record for record in records if "error" not in record]
    used = {name: after[name] - before.get(name, 0) for name in after}
    own = used.get(IO_THREAD, 0) + used.get(PREPARE_THREAD, 0)
    wall = max((record["end_s"] for record in good), default=0) - min((record["begin_s"] for record in good), default=0)
    return {"chats": count, "errors": len(records) - len(good), "first_error": next((r["error"] for r in records if "error" in r), None),
            "prompt_tokens": sum(r["prompt_tokens"] for r in good), "output_tokens": sum(r["output_tokens"] for r in good),
            "wall_s": wall, "output_tok_per_s": sum(r["output_tokens"] for r in good) / wall if wall else 0,
            "ttft_s": spread(r["ttft_s"] for r in good), "itl_s": spread(gap for r in good for gap in r["itl_s"]),
            "cpu_s": used, "server_threads_share": own / sum(used.values()) if sum(used.values()) else 0, "client_cpu_s": client}


def measure_chats(args):
    rows = []
    for count in args.chats:
        with Server(args, "--max-num-seqs", str(max(64, count))) as server:
            check_length(server, args.prompt + args.gen)
            rows.append(asyncio.run(run_chats(server, args, count)))
    return rows


def check_length(server, tokens):
    if tokens > server.longest:
        raise Refusal(f"{tokens} tokens are asked for and {server.longest} fit one request; see -p, -n, --long-prompt and --beside-prompt")


async def run_warm(server, args):
    messages = await conversation(server.port, args.long_prompt, 1)
    body = {"messages": messages, "max_tokens": 24}
    await stream(server.port, {"messages": await conversation(server.port, 40, 2), "max_tokens": 4})  # packs and pages are there
    cold = await stream(server.port, body)
    if "error" in cold:
        raise Refusal(f"the long prompt was not answered: {cold['error']}")
    warm, steps, tokenise, cached = [], list(cold["itl_s"]), [], 0
    for _ in range(3 * args.repetitions):
        again = await stream(server.port, body)
        if "error" in again:
            raise Refusal(f"the long prompt was not answered: {again['error']}")
        warm.append(again["ttft_s"])
        steps += again["itl_s"]
        cached = again["cached_tokens"]
        begin = time.perf_counter()
        await ask(server.port, "POST", "/tokenize", {"messages": messages})
        tokenise.append(time.perf_counter() - begin)
    step = statistics.median(steps or [0.0])  # none: a small model's answers came in one event each
    floor = step + statistics.median(tokenise)
    return {"prompt_tokens": cold["prompt_tokens"], "cached_tokens": cached, "cold_ttft_s": cold["ttft_s"],
            "warm_ttft_s": statistics.median(warm), "decode_step_s": step, "tokenise_s": statistics.median(tokenise),
            "warm_over_floor": statistics.median(warm) / floor}


def measure_warm(args):
    with Server(args) as server:
        check_length(server, args.long_prompt + 24)
        return asyncio.run(run_warm(server, args))


def gaps(marks, begin, end):
    """The times between tokens, of which some lay between the two."""
    return [after - before for before, after in zip(marks, marks[1:]) if before < end and after > begin]


async def stream_on(server, seed, answers):
    """One answer after another; `answers` gets the times of each one's tokens."""
    body = {"messages": await conversation(server.port, 40, seed), "max_tokens": server.longest - 64, "return_token_ids": True}
    while True:  # with ids a token without text is an event, too
        answers.append([])
        said = await stream(server.port, body, marks=answers[-1])
        if "error" in said:
            raise Refusal(f"a stream was not answered: {said['error']}")


async def run_beside(server, args):
    prompt = await conversation(server.port, args.beside_prompt, 1)
    streams = [[] for _ in range(STREAMS)]
    tasks = [asyncio.ensure_future(stream_on(server, 2 + i, answers)) for i, answers in enumerate(streams)]
    while min(sum(map(len, answers)) for answers in streams) < CALM_TOKENS and not any(task.done() for task in tasks):
        await asyncio.sleep(0.005)
    begin = time.perf_counter()
    calm_begin = max((answers[0][0] for answers in streams if answers and answers[0]), default=begin)
    answer = await stream(server.port, {"messages": prompt, "max_tokens": 1, "return_token_ids": True})
    for task in tasks:
        if task.done():
            task.result()  # raises what ended it
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    if "error" in answer:
        raise Refusal(f"the long prompt was not answered: {answer['error']}")
    end = begin + answer["ttft_s"]
    every = [marks for answers in streams for marks in answers]
    return {"streams": STREAMS, "prompt_tokens": answer["prompt_tokens"], "prompt_ttft_s": answer["ttft_s"], "budget_s": step_budget_ms(args) / 1e3,
            "itl_s": spread(gap for marks in every for gap in gaps(marks, begin, end)),
            "calm_itl_s": spread(gap for marks in every for gap in gaps(marks, calm_begin, begin))}


def step_budget_ms(args):
    words = [part for word in args.serve_args for part in word.split("=", 1)]
    return float(words[words.index("--step-budget-ms") + 1]) if "--step-budget-ms" in words else DEFAULT_STEP_BUDGET_MS


def measure_beside(args):
    with Server(args) as server:
        check_length(server, args.beside_prompt + 1)
        return asyncio.run(run_beside(server, args))


async def run_idle(server, count):
    for _ in range(20):  # what any traffic allocates once
        await ask(server.port, "GET", "/v1/models")
    before, held = server.resident_bytes(), []
    for _ in range(count):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        await send(writer, "GET", "/health", None)
        status, length = await read_head(reader)
        await reader.readexactly(length)
        if status != 200:
            raise Refusal(f"/health answered {status} with {len(held)} connections open")
        held.append(writer)
    await asyncio.sleep(0.5)
    grown = server.resident_bytes() - before
    status, _ = await ask(server.port, "GET", "/health")
    for writer in held:
        writer.close()
    return {"connections": count, "bytes": grown, "bytes_each": grown / count, "still_healthy": status == 200}


def measure_idle(args):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = args.idle + 256
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise Refusal(f"{args.idle} connections need {wanted} open files and the limit is {hard}; raise it with ulimit -n")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(wanted, resource.getrlimit(resource.RLIMIT_NOFILE)[0]), hard))
    with Server(args, "--max-connections", str(args.idle + 64)) as server:
        return asyncio.run(run_idle(server, args.idle))


# ---------------------------------------------------------------------------------------------- the report

def ms(seconds):
    return f"{seconds * 1e3:,.0f} ms" if seconds >= 0.01 else f"{seconds * 1e3:.1f} ms"


def show_start(found):
    health = found["health_s"]
    print(f"start to /health 200, warm file cache   {ms(health['median'])}  ({ms(health['min'])} to {ms(health['max'])})")


def show_chats(rows, args):
    print(f"chats at once, {args.prompt} tokens in and {args.gen} out")
    print("  chats  errors  output tok/s  TTFT p50 / p99 / worst               ITL p50 / p99 / worst         server threads' CPU")
    for row in rows:
        def three(spread_of):
            return " / ".join(ms(spread_of[key]) for key in ("p50", "p99", "max")) if spread_of else "-"
        print(f"  {row['chats']:5}  {row['errors']:6}  {row['output_tok_per_s']:12.1f}  {three(row['ttft_s']):35}  {three(row['itl_s']):28}  "
              f"{row['server_threads_share']:.2%}")
        if row["first_error"]:
            print(f"         the first error: {row['first_error']}")


def show_warm(found):
    print(f"a prompt of {found['prompt_tokens']:,} tokens, first token   cold {ms(found['cold_ttft_s'])}, again {ms(found['warm_ttft_s'])} "
          f"({found['cached_tokens']:,} tokens from the cache)")
    print(f"  one decode step there {ms(found['decode_step_s'])} + tokenisation {ms(found['tokenise_s'])}: again takes "
          f"{found['warm_over_floor']:.2f} times that")


def show_beside(found):
    def three(spread_of):
        return " / ".join(ms(spread_of[key]) for key in ("p50", "p99", "max"))
    print(f"{found['streams']} streams, next token p50 / p99 / worst   {three(found['calm_itl_s'])}")
    print(f"  while a prompt of {found['prompt_tokens']:,} tokens is computed: {three(found['itl_s'])}, the budget of a step being "
          f"{ms(found['budget_s'])}; its first token after {found['prompt_ttft_s']:.1f} s")


def show_idle(found):
    print(f"{found['connections']:,} idle connections   {found['bytes'] / 2**20:.1f} MB, {found['bytes_each'] / 1024:.1f} KB each")


def run(args):
    report = {"model": args.model, "cpu": cpu_name(), "cores": len(os.sched_getaffinity(0)), "load": os.getloadavg()[0]}
    if not args.json:
        print(f"{os.path.basename(args.model)} on {report['cpu']}, {report['cores']} cores, load {report['load']:.1f} before the start")
    for part in args.only:
        report[part] = globals()[f"measure_{part}"](args)
        if not args.json:
            globals()[f"show_{part}"](report[part], *([args] if part == "chats" else []))
            sys.stdout.flush()
    if args.json:
        print(json.dumps(report, indent=2))
    return 1 if any(row["errors"] for row in report.get("chats", [])) else 0


def cpu_name():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "an unknown processor"


def positive(text):
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def counts(text):
    values = [positive(word) for word in text.split(",")]
    if max(values) > 512:
        raise ValueError
    return values


def parts(text):
    words = text.split(",")
    if not set(words) <= set(PARTS):
        raise argparse.ArgumentTypeError(f"the parts are {', '.join(PARTS)}")
    return [part for part in PARTS if part in words]


def main():
    parser = argparse.ArgumentParser(prog="./dev bench serve", description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--folio", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--model", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--only", type=parts, default=list(PARTS), help=f"parts, with commas: {', '.join(PARTS)} (default all)")
    parser.add_argument("--chats", type=counts, default=[16, 64], help="how many at once, with commas (default 16,64)")
    parser.add_argument("-p", "--prompt", type=positive, default=512, help="tokens of each chat's prompt (default 512)")
    parser.add_argument("-n", "--gen", type=positive, default=64, help="tokens of each answer (default 64)")
    parser.add_argument("--long-prompt", type=positive, default=4000, help="tokens of the prompt that is asked again (default 4000)")
    parser.add_argument("--beside-prompt", type=positive, default=6000, help="tokens of the one that comes while others stream (default 6000)")
    parser.add_argument("--idle", type=positive, default=1000, help="idle connections (default 1000)")
    parser.add_argument("-r", "--repetitions", type=positive, default=5, help="of starts, and three times as many of the repeated prompt (default 5)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the text")
    parser.add_argument("serve_args", nargs="*", metavar="-- FLAGS", help="of folio serve, e.g. -- --threads 2 --kv-cache-dtype bf16")
    args = parser.parse_args()
    if not os.path.exists(args.model):
        sys.exit(f"dev: there is no model {args.model}")
    try:
        sys.exit(run(args))
    except Refusal as refusal:
        sys.exit(f"dev: {refusal}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
