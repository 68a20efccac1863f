"""Small GGUF files for tests: takes a real one apart and puts it together again with other metadata."""

import struct

NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
U32, STRING, ARRAY = 4, 8, 9


def string(text):
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(raw)) + raw


def value_end(data, at, kind):
    """Where the value of type `kind` that begins at `at` ends."""
    if kind == STRING:
        return at + 8 + struct.unpack_from("<Q", data, at)[0]
    if kind == ARRAY:
        element, count = struct.unpack_from("<IQ", data, at)
        at += 12
        if element != STRING:
            return at + count * struct.calcsize("<" + NUMBERS[element])
        for _ in range(count):
            at = value_end(data, at, STRING)
        return at
    return at + struct.calcsize("<" + NUMBERS[kind])


class Gguf:
    """entries: key -> (type, value bytes); tensors and data are kept as they are."""

    def __init__(self, data):
        self.version, self.tensor_count, count = struct.unpack_from("<IQQ", data, 4)
        self.entries, at = {}, 24
        for _ in range(count):
            end = value_end(data, at, STRING)
            key, kind = data[at + 8:end].decode(), struct.unpack_from("<I", data, end)[0]
            at = value_end(data, end + 4, kind)
            self.entries[key] = (kind, data[end + 4:at])
        start = at
        for _ in range(self.tensor_count):
            at = value_end(data, at, STRING)
            at += 4 + 8 * struct.unpack_from("<I", data, at)[0] + 12
        self.table, self.data = data[start:at], data[(at + 31) // 32 * 32:]

    def set(self, key, text):
        self.entries[key] = (STRING, string(text))
        return self

    def build(self):
        head = b"GGUF" + struct.pack("<IQQ", self.version, self.tensor_count, len(self.entries))
        for key, (kind, value) in self.entries.items():
            head += string(key) + struct.pack("<I", kind) + value
        head += self.table
        return head + b"\0" * (-len(head) % 32) + self.data
