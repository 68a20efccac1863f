#!/usr/bin/env python3
"""llama.cpp as a benchmark peer: llama_cpp_peer.py PACKAGES MODEL THREADS

PACKAGES is the folder that npm installed node-llama-cpp's prebuilt library into; it is driven through its C interface.
Reads one JSON object per line from standard input, {"prompt": tokens, "generate": tokens, "depth": tokens, "streams": n},
and answers each with {"prefill_s": s, "decode_s": s}, or {"error": sentence}. The first line it writes is
{"version": text} once the model is loaded, or {"error": sentence}.

What is timed is what llama-bench times: prompts of random tokens in batches of 2,048, micro-batches of 512, logits for
the last token of each stream; then tokens one by one, each stream's next in one batch, without sampling. `depth` tokens
of each stream are in the cache before, not timed. A time is null where its count is 0.

{"exact": file, "kv": "F16"} asks for something else: how far llama.cpp's probabilities, with keys and values of that
type, lie from those whose logits the file holds (as tests/golden/kld_golden.h describes it); the answer has the
members of SUMS.
"""

import json
import pathlib
import random
import sys
import time

from divergence import ExactLogits, Sums
from llama_c import Context, LlamaError, Library


def say(answer):
    print(json.dumps(answer), flush=True)


class Peer:
    def __init__(self, packages, path, threads):
        folders = sorted(pathlib.Path(packages).glob("node_modules/@node-llama-cpp/linux-x64/bins/*"))
        if not folders:
            raise LlamaError(f"{packages}: there is no prebuilt llama.cpp; remove that folder to have it installed again")
        self.library, self.threads = Library(folders[0]), threads
        self.model = self.library.llama_model_load_from_file(path.encode(), self.library.llama_model_default_params())
        if not self.model:
            raise LlamaError(f"{path} could not be loaded ({self.library.last_error or 'no reason given'})")
        vocabulary = self.library.llama_vocab_n_tokens(self.library.llama_model_get_vocab(self.model))
        self.vocabulary, self.ordinary = vocabulary, vocabulary * 15 // 16  # the last ones are often control tokens
        self.pool = self.library.threadpool(threads)
        self.random = random.Random(1)
        self.context, self.shape, self.depth = None, None, 0

    def version(self):
        release = next((path.name[len("libllama."):-len(".so")] for path in self.library.folder.glob("libllama.v*.so")), "")
        return f"llama.cpp {release}, kernels {self.library.kernels()}"

    def open(self, **shape):
        """The context of this shape: the last one, if it was of this shape too."""
        if self.shape != shape:
            if self.context:
                self.context.close()
            self.context, self.shape = None, None
            self.context = Context(self.library, self.model, self.pool, self.threads, **shape)
            self.shape, self.depth = shape, 0
        return self.context

    def feed(self, first, count):
        """Tokens [first, first + count) of every stream, stream by stream, in as few batches as they fit into."""
        batch = self.context.batch
        for stream in range(self.context.sequences):
            for position in range(first, first + count):
                batch.add(self.random.randrange(self.ordinary), position, stream, position + 1 == first + count)
                if batch.full():
                    self.context.decode()
        if batch.view.n_tokens:
            self.context.decode()

    def seek(self, depth):
        """Leaves exactly `depth` tokens of every stream in the cache."""
        if depth == 0 or self.depth != depth:
            self.context.clear()
            self.depth = 0
            if depth:
                self.feed(0, depth)
            self.depth = depth
        else:
            for stream in range(self.context.sequences):
                self.context.cut(stream, depth)

    def generate(self, first, count):
        for position in range(first, first + count):
            self.feed(position, 1)

    def measure(self, run):
        depth, prompt, generate, streams = run.get("depth", 0), run["prompt"], run["generate"], run["streams"]
        self.open(length=depth + prompt + generate, sequences=streams)
        self.seek(depth)
        times = {"prefill_s": None, "decode_s": None}
        if prompt:
            start = time.perf_counter()
            self.feed(depth, prompt)
            times["prefill_s"] = time.perf_counter() - start
        if generate:
            start = time.perf_counter()
            self.generate(depth + prompt, generate)
            times["decode_s"] = time.perf_counter() - start
        return times

    def diverge(self, run):
        exact = ExactLogits(run["exact"])
        if exact.vocabulary > self.vocabulary:
            raise LlamaError(f"{run['exact']} is of a model with {exact.vocabulary} tokens, this one has {self.vocabulary}")
        context = self.open(length=exact.length, kv=run["kv"], all_outputs=True)
        sums = Sums()
        for first in range(0, len(exact.tokens), exact.length):
            part = exact.tokens[first:first + exact.length]
            context.clear()
            for position, token in enumerate(part):
                context.batch.add(token, position, 0, True)
            context.decode()
            for i in range(len(part) - 1):
                sums.add(exact.logits(first + i), context.logits(i, exact.vocabulary), part[i + 1])
        return sums.members()


def main():
    packages, model, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    try:
        peer = Peer(packages, model, threads)
    except LlamaError as error:
        say({"error": str(error)})
        return
    say({"version": peer.version()})
    for line in sys.stdin:
        run = json.loads(line)
        try:
            say(peer.diverge(run) if "exact" in run else peer.measure(run))
        except (LlamaError, OSError, ValueError) as error:  # the next run may still work
            say({"error": str(error)})


if __name__ == "__main__":
    main()
