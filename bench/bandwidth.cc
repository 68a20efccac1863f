#include "bench/bandwidth.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>

#include "base/check.h"
#include "platform/memory.h"
#include "platform/thread_pool.h"

namespace folio::bench {
namespace {

constexpr std::size_t kChunkBytes = std::size_t{256} << 10;
constexpr double kMinPassSeconds = 0.05;
constexpr int kPasses = 7;

using Words = std::uint64_t __attribute__((vector_size(16)));

// Sums a chunk in eight independent chains of vectors, so that loads, not additions, are the limit.
std::uint64_t sum_chunk(const std::byte* at) {
  Words sums[8] = {};
  const auto* words = reinterpret_cast<const Words*>(at);
  for (std::size_t i = 0; i < kChunkBytes / sizeof(Words); i += 8) {
#pragma GCC unroll 8
    for (std::size_t j = 0; j < 8; ++j) sums[j] += words[i + j];
  }
  Words total = {};
  for (const Words& sum : sums) total += sum;
  return total[0] + total[1];
}

}  // namespace

double read_bandwidth(std::size_t bytes, int threads) {
  const std::size_t chunks = std::max<std::size_t>(bytes / kChunkBytes, static_cast<std::size_t>(threads));
  auto arena = platform::Arena::create(chunks * kChunkBytes, "bandwidth probe");
  FOLIO_CHECK(arena.has_value(), "no memory for the bandwidth probe");
  std::memset(arena->data(), 1, arena->size());
  platform::ThreadPool pool(threads);
  volatile std::uint64_t sink = 0;
  double best = 0;
  for (int pass = 0; pass < kPasses; ++pass) {
    const auto start = std::chrono::steady_clock::now();
    double seconds = 0;
    std::size_t rounds = 0;
    do {
      pool.run(chunks, [&](std::size_t chunk, int) {
        if (sum_chunk(arena->data() + chunk * kChunkBytes) == 1) sink = 1;
      });
      ++rounds;
      seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    } while (seconds < kMinPassSeconds);
    best = std::max(best, static_cast<double>(rounds * chunks * kChunkBytes) / seconds);
  }
  return best;
}

}  // namespace folio::bench
