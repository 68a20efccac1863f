// The machine's own limits, measured in the same run as the figures that are held against them.
#pragma once

#include <cstddef>

namespace folio::bench {

// Bytes per second that `threads` threads read together from one buffer of `bytes`, the best of several
// passes. A buffer of many times the last-level cache measures memory, one that fits measures the cache.
double read_bandwidth(std::size_t bytes, int threads);

}  // namespace folio::bench
