// Replaying a trace of requests through the KV cache's bookkeeping: what share of its blocks is found, at
// what size, with which order of eviction. No model, and one block of the trace is one block here, whatever
// it held.
//
// The format is Mooncake's (JSON lines, in order of arrival): {"hash_ids": [...], ...}, where equal ids mean
// an equal prefix up to and including that block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "kv/eviction.h"

namespace folio::experiments {

struct Trace {
  std::vector<std::vector<std::uint32_t>> requests;  // blocks of each, by id
  std::size_t blocks = 0;                            // different ones
  std::size_t references = 0;                        // of all requests together
};

// Errors: a file that cannot be read, a line that is no such request (naming it), no requests.
[[nodiscard]] Result<Trace> read_trace(const std::string& path);

struct Replay {
  std::size_t capacity_blocks = 0;
  kv::Eviction eviction{};
  std::size_t hit_blocks = 0;  // of trace.references

  double rate(const Trace& trace) const {
    return static_cast<double>(hit_blocks) / static_cast<double>(trace.references);
  }
};

// One request after the other, each in the cache as long as the next has not pushed it out. A request longer
// than the capacity is looked up and not kept. Errors: memory for the tables of that many blocks.
[[nodiscard]] Result<Replay> replay(const Trace& trace, std::size_t capacity_blocks, kv::Eviction eviction);

}  // namespace folio::experiments
