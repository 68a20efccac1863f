#include "kernels/probe/machine_probe.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "kernels/probe/probe_kernels.h"
#include "platform/cpu.h"
#include "platform/memory.h"
#include "platform/thread_pool.h"

namespace folio::kernels {
namespace {

constexpr std::size_t kChunkBytes = std::size_t{256} << 10;
constexpr double kMinPassSeconds = 0.04;
constexpr int kPasses = 7;
constexpr double kMaxSeconds = 1;            // of one figure, where the machine is busy with something else
constexpr std::size_t kPiecesPerThread = 4;  // so that a thread that is held up leaves work to the others

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// The best rate of several passes, each of as many rounds of `amount` as fill kMinPassSeconds.
template <typename Round>
double best_rate(double amount, Round round) {
  double best = 0;
  const Clock::time_point first = Clock::now();
  for (int pass = 0; pass < kPasses && seconds_since(first) < kMaxSeconds; ++pass) {
    const Clock::time_point start = Clock::now();
    double seconds = 0, done = 0;
    do {
      round();
      done += amount;
      seconds = seconds_since(start);
    } while (seconds < kMinPassSeconds);
    best = std::max(best, done / seconds);
  }
  return best;
}

double read_rate(const ProbeKernels& probe, platform::ThreadPool& pool, const std::byte* data,
                 std::size_t bytes) {
  volatile std::uint64_t sink = 0;
  return best_rate(static_cast<double>(bytes), [&] {
    pool.run(bytes / kChunkBytes, [&](std::size_t chunk, int) {
      if (probe.read(data + chunk * kChunkBytes, kChunkBytes) == 1) sink = 1;
    });
  });
}

double compute_rate(const ComputeProbe& probe, platform::ThreadPool& pool) {
  volatile std::uint64_t sink = 0;
  std::size_t rounds = 1024;  // of one piece: about a millisecond
  for (double seconds = 0; seconds < 1e-3 && rounds < kExactProbeRounds; rounds *= 2) {
    const Clock::time_point start = Clock::now();
    sink = probe.run(rounds);
    seconds = seconds_since(start);
  }
  const std::size_t pieces = kPiecesPerThread * static_cast<std::size_t>(pool.size());
  return best_rate(static_cast<double>(pieces * rounds * probe.operations), [&] {
    pool.run(pieces, [&](std::size_t, int) {
      if (probe.run(rounds) == 1) sink = 1;
    });
  });
}

std::size_t whole_chunks(std::size_t bytes) {
  return std::max<std::size_t>(bytes / kChunkBytes, 1) * kChunkBytes;
}

struct BufferSizes {
  std::size_t memory, cache;
};

// Every thread reads the same share of the buffer each time. For the cache figure a share must not fit the
// thread's own level 2, and all of them must fit the last level.
BufferSizes buffer_sizes(int threads) {
  const platform::CpuFeatures& cpu = platform::cpu_features();
  const std::size_t last = std::max<std::size_t>(cpu.last_level_cache_bytes, std::size_t{1} << 20);
  const std::size_t own = 3 * cpu.l2_cache_bytes * static_cast<std::size_t>(threads);
  const std::size_t wanted = std::max(last * 8, std::size_t{512} << 20);
  return {.memory = whole_chunks(std::min(wanted, platform::available_bytes() / 2)),
          .cache = whole_chunks(std::max(last / 4, std::min(own, last / 4 * 3)))};
}

void measure(MachineLimits& limits, double MeasuredLimit::* figure, platform::ThreadPool& pool,
             const std::byte* data, const BufferSizes& sizes) {
  const ProbeKernels& probe = probe_kernels(limits.isa);
  limits.memory.*figure = read_rate(probe, pool, data, sizes.memory);
  limits.cache.*figure = read_rate(probe, pool, data, std::min(sizes.cache, sizes.memory));
  limits.int8.*figure = compute_rate(probe.int8, pool);
  limits.f32.*figure = compute_rate(probe.f32, pool);
  if (limits.bf16) (*limits.bf16).*figure = compute_rate(probe.bf16, pool);
}

}  // namespace

Result<MachineLimits> measure_limits(Isa isa, int threads) {
  MachineLimits limits{
      .isa = isa, .threads = threads, .memory = {}, .cache = {}, .int8 = {}, .f32 = {}, .bf16 = std::nullopt};
  if (probe_kernels(isa).bf16.run != nullptr && platform::cpu_features().avx512_bf16)
    limits.bf16 = MeasuredLimit{};
  const BufferSizes sizes = buffer_sizes(threads);
  FOLIO_TRY(arena, platform::Arena::create(sizes.memory, "bandwidth probe"));
  platform::ThreadPool pool(threads);
  pool.run(sizes.memory / kChunkBytes,
           [&](std::size_t chunk, int) { std::memset(arena.data() + chunk * kChunkBytes, 1, kChunkBytes); });
  measure(limits, &MeasuredLimit::all_threads, pool, arena.data(), sizes);
  if (threads == 1) {
    measure(limits, &MeasuredLimit::one_thread, pool, arena.data(), sizes);
    const auto best = [](MeasuredLimit& limit) {
      limit.one_thread = limit.all_threads = std::max(limit.one_thread, limit.all_threads);
    };
    for (MeasuredLimit* limit : {&limits.memory, &limits.cache, &limits.int8, &limits.f32}) best(*limit);
    if (limits.bf16) best(*limits.bf16);
  } else {
    platform::ThreadPool alone(1);
    measure(limits, &MeasuredLimit::one_thread, alone, arena.data(), buffer_sizes(1));
  }
  return limits;
}

}  // namespace folio::kernels
