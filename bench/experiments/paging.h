// What reading keys and values through blocks costs in attention: the same kernel over the same numbers, once
// in blocks that lie anywhere, once in one run of memory.
#pragma once

#include <cstddef>
#include <vector>

#include "base/result.h"
#include "options.h"

namespace folio::experiments {

// One batch: the last `rows` positions of a sequence of `positions`.
struct PagingRow {
  const char* name;
  std::size_t rows, positions;
  std::vector<double> ratios;  // time in blocks / time in one run, ascending
  double paged_s = 0;          // median, all layers once
  double bytes = 0;            // keys and values that a pass over all layers reads

  double median() const { return ratios[ratios.size() / 2]; }
};

// Attention of the shape of Llama-3.2-1B (16 layers, 32 heads, 8 KV heads of 64) in blocks of 16 tokens, by
// the options' threads and KV type: a decoded token, and a chunk of a prompt, behind 4,096 positions;
// 21 pairs of passes, either first in turn. Errors: memory for twice the keys and values (270 MB in 16 bits);
// results that differ in a bit.
[[nodiscard]] Result<std::vector<PagingRow>> measure_paging(const Options& options);

}  // namespace folio::experiments
