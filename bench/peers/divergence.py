"""How far one model's probabilities lie from another's, position by position. Standard library only: about 20 ms for a
vocabulary of 50,000."""

import array
import math
import struct
import sys


class ExactLogits:
    """The file that folio-golden --exact writes: vocabulary, tokens, tokens of a sequence, the ids, logits for each."""

    def __init__(self, path):
        self.path = path
        self.file = open(path, "rb")
        self.vocabulary, count, self.length = struct.unpack("<3i", self.read(12))
        if min(self.vocabulary, count, self.length) < 1:
            raise ValueError(f"{path} begins with sizes that are not above 0")
        self.tokens = list(struct.unpack(f"<{count}i", self.read(4 * count)))
        self.start = self.file.tell()

    def read(self, size):
        data = self.file.read(size)
        if len(data) != size:
            raise ValueError(f"{self.path} is cut off")
        return data

    def logits(self, index):
        self.file.seek(self.start + 4 * self.vocabulary * index)
        values = array.array("f", self.read(4 * self.vocabulary))
        if sys.byteorder == "big":
            values.byteswap()
        return values


def log_sum_exp(logits):
    most = max(logits)
    return most + math.log(sum(math.exp(x - most) for x in logits))


class Sums:
    def __init__(self):
        self.sums = {"divergence": 0.0, "largest": 0.0, "nll": 0.0, "exact_nll": 0.0, "top1_equal": 0, "positions": 0}

    def add(self, exact, logits, following):
        """One position: Kullback-Leibler divergence from `exact` to `logits`, and what each thought of the next token."""
        exact_total, total = log_sum_exp(exact), log_sum_exp(logits)
        shift = exact_total - total
        divergence = sum(math.exp(p - exact_total) * (p - q - shift) for p, q in zip(exact, logits))
        sums = self.sums
        sums["divergence"] += divergence
        sums["largest"] = max(sums["largest"], divergence)
        sums["exact_nll"] += exact_total - exact[following]
        sums["nll"] += total - logits[following]
        sums["top1_equal"] += exact.index(max(exact)) == logits.index(max(logits))
        sums["positions"] += 1

    def members(self):
        return self.sums
