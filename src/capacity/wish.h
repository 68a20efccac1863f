// What a caller wants of an engine's memory.
#pragma once

#include <cstddef>
#include <limits>
#include <string>
#include <variant>
#include <vector>

#include "kv/eviction.h"

namespace folio::capacity {

// How large the pool of KV blocks is to be.
struct KvAutomatic {
  // 0: one context. Else as many blocks as this holds, but no more than half of what is available; with a
  // context that was asked for at least that.
  std::size_t up_to_bytes = 0;
};
struct KvBytes {
  std::size_t bytes;  // --kv-cache-memory-bytes
};
struct KvBlocks {
  std::size_t blocks;  // --num-gpu-blocks-override
};
struct KvTokens {
  std::size_t tokens;  // --kv-tokens
};
using KvSize = std::variant<KvAutomatic, KvBytes, KvBlocks, KvTokens>;

// Memory that the engine's caller takes beside it: a server's requests, for one.
struct Beside {
  std::string tag;
  std::size_t bytes = 0;
  std::string lowered_by;  // the flags that make it less: "--max-request-bytes"
};

// Requests that may wait beside those that run, and the text that all of them hold together at most (a token
// has at least a byte of it). No requests: there is one caller with one at a time, too little to count.
struct Queue {
  std::size_t requests = 0;
  std::size_t text_bytes = std::numeric_limits<std::size_t>::max();
};

struct Wish {
  std::size_t context_tokens = 0;  // 0: the model's, or less where memory does not allow that
  KvSize kv = KvAutomatic{};
  std::size_t swap_bytes = 0;
  kv::Eviction eviction = kv::Eviction::kLru;
  double residency_share = 0;
  std::size_t step_tokens = 512;  // rows of one step at most
  std::size_t max_num_seqs = 0;   // 0: 64, or one per row of a step if that is less
  std::size_t memory_bytes = 0;   // --memory: of all together at most; 0: what is available
  Queue queue;
  std::vector<Beside> beside;
};

}  // namespace folio::capacity
