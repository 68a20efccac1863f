#!/usr/bin/env python3
"""OpenVINO GenAI (PyPI openvino-genai) as a benchmark peer: openvino_peer.py PACKAGES MODEL THREADS

PACKAGES is the folder that pip installed into. Reads one JSON object per line from standard input,
{"prompt": tokens, "generate": tokens, "depth": tokens, "streams": n}, and answers each with {"prefill_s": s,
"decode_s": s}, or {"error": sentence}: the time of one new token for every stream, and of the tokens after it (of one
stream by its own time per token; of several by how much longer they take); null where nothing is asked for. `depth`
tokens are the prompt where there is no other, for the pipeline has no context without one. The first line it writes is
{"version": text} once the model is loaded, or {"error": sentence}.
"""

import json
import random
import sys
import time

CACHE_GB = 4
VOCABULARY = 30000  # ids below it are ordinary tokens in every vocabulary that this is used with


def first_line(error):
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def say(answer):
    print(json.dumps(answer), flush=True)


class Peer:
    def __init__(self, genai, openvino, numpy, model, threads):
        self.genai, self.openvino, self.numpy = genai, openvino, numpy
        scheduler = genai.SchedulerConfig()
        scheduler.cache_size = CACHE_GB
        scheduler.enable_prefix_caching = False
        scheduler.max_num_batched_tokens = 2048
        self.pipeline = genai.LLMPipeline(model, "CPU", scheduler_config=scheduler, KV_CACHE_PRECISION="u8",
                                          INFERENCE_NUM_THREADS=threads)
        self.random = random.Random(1)

    def generate(self, prompt, generate, streams):
        """Seconds that `generate` new tokens for each of `streams` fresh prompts take, and its time per token after
        the first as the pipeline states it."""
        config = self.genai.GenerationConfig()
        config.max_new_tokens = config.min_new_tokens = generate
        config.ignore_eos = True
        config.do_sample = False
        config.apply_chat_template = False
        ids = [[self.random.randrange(10, VOCABULARY) for _ in range(prompt)] for _ in range(streams)]
        inputs = self.genai.TokenizedInputs(
            self.openvino.Tensor(self.numpy.array(ids, dtype=self.numpy.int64)),
            self.openvino.Tensor(self.numpy.ones((streams, prompt), dtype=self.numpy.int64)))
        start = time.monotonic()
        result = self.pipeline.generate(inputs, config)
        return time.monotonic() - start, result.perf_metrics.get_tpot().mean / 1000

    def measure(self, run):
        if run["prompt"] and run.get("depth", 0):
            raise ValueError("a prompt behind a context cannot be timed by itself")
        prompt = run["prompt"] or max(1, run.get("depth", 0))
        prefill_s = self.generate(prompt, 1, run["streams"])[0] if run["prompt"] or run["streams"] > 1 else None
        if not run["generate"]:
            return {"prefill_s": prefill_s, "decode_s": None}
        both_s, token_s = self.generate(prompt, run["generate"] + 1, run["streams"])
        if run["streams"] == 1:
            return {"prefill_s": prefill_s, "decode_s": token_s * run["generate"]}
        if both_s <= prefill_s:
            raise ValueError("the machine is too busy to part decoding from prefill")
        return {"prefill_s": prefill_s, "decode_s": both_s - prefill_s}


def main():
    packages, model, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    sys.path.insert(0, packages)
    try:
        import numpy
        import openvino
        import openvino_genai
        peer = Peer(openvino_genai, openvino, numpy, model, threads)
    except Exception as error:  # whatever the peer throws becomes its answer
        say({"error": first_line(error)})
        return
    say({"version": f"OpenVINO GenAI {openvino_genai.__version__}"})
    for line in sys.stdin:
        try:
            say(peer.measure(json.loads(line)))
        except Exception as error:  # the next run may still work
            say({"error": first_line(error)})


if __name__ == "__main__":
    main()
