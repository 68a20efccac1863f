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
constexpr double kMaxSeconds = 1;            // of one figure, where the machine is busy with something else
constexpr std::size_t kPiecesPerThread = 4;  // so that a thread that is held up leaves work to the others

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// One probing of one number of threads.
struct Session {
  const ProbeOptions& options;
  const ProbeKernels& probe;
  platform::ThreadPool& pool;
};

// The best rate of several passes, each of as many rounds of `amount` as fill pass_s.
template <typename Round>
double best_rate(const Session& session, double amount, Round round) {
  double best = 0;
  const Clock::time_point first = Clock::now();
  for (int pass = 0; pass < session.options.passes && seconds_since(first) < kMaxSeconds; ++pass) {
    const Clock::time_point start = Clock::now();
    double seconds = 0, done = 0;
    do {
      round();
      done += amount;
      seconds = seconds_since(start);
    } while (seconds < session.options.pass_s);
    best = std::max(best, done / seconds);
  }
  return best;
}

double read_rate(const Session& session, const std::byte* data, std::size_t bytes) {
  volatile std::uint64_t sink = 0;
  return best_rate(session, static_cast<double>(bytes), [&] {
    session.pool.run(bytes / kChunkBytes, [&](std::size_t chunk, int) {
      if (session.probe.read(data + chunk * kChunkBytes, kChunkBytes) == 1) sink = 1;
    });
  });
}

double compute_rate(const Session& session, const ComputeProbe& probe) {
  volatile std::uint64_t sink = 0;
  std::size_t rounds = 1024;  // of one piece: about a millisecond
  for (double seconds = 0; seconds < 1e-3 && rounds < kExactProbeRounds; rounds *= 2) {
    const Clock::time_point start = Clock::now();
    sink = probe.run(rounds);
    seconds = seconds_since(start);
  }
  const std::size_t pieces = kPiecesPerThread * static_cast<std::size_t>(session.pool.size());
  return best_rate(session, static_cast<double>(pieces * rounds * probe.operations), [&] {
    session.pool.run(pieces, [&](std::size_t, int) {
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
BufferSizes buffer_sizes(const ProbeOptions& options, int threads) {
  const platform::CpuFeatures& cpu = platform::cpu_features();
  const std::size_t last = std::max<std::size_t>(cpu.last_level_cache_bytes, std::size_t{1} << 20);
  const std::size_t own = 3 * cpu.l2_cache_bytes * static_cast<std::size_t>(threads);
  const std::size_t automatic = std::max(last * 8, std::size_t{512} << 20);
  const std::size_t wanted = options.memory_bytes == 0 ? automatic : options.memory_bytes;
  return {.memory = whole_chunks(std::min(wanted, platform::available_bytes() / 2)),
          .cache = whole_chunks(std::max(last / 4, std::min(own, last / 4 * 3)))};
}

void measure(MachineLimits& limits, double MeasuredLimit::* figure, const Session& session,
             const std::byte* data) {
  const BufferSizes sizes = buffer_sizes(session.options, session.pool.size());
  limits.memory.*figure = read_rate(session, data, sizes.memory);
  limits.cache.*figure = read_rate(session, data, std::min(sizes.cache, sizes.memory));
  limits.int8.*figure = compute_rate(session, session.probe.int8);
  limits.f32.*figure = compute_rate(session, session.probe.f32);
  if (limits.bf16) (*limits.bf16).*figure = compute_rate(session, session.probe.bf16);
  const TileProbes* tiles = tile_probes(session.options.isa);
  if (limits.int8_tiles) (*limits.int8_tiles).*figure = compute_rate(session, tiles->int8);
  if (limits.bf16_tiles) (*limits.bf16_tiles).*figure = compute_rate(session, tiles->bf16);
}

}  // namespace

Result<MachineLimits> measure_limits(const ProbeOptions& options) {
  const ProbeKernels& probe = probe_kernels(options.isa);
  MachineLimits limits;
  limits.isa = options.isa;
  limits.threads = options.threads;
  if (probe.bf16.run != nullptr && platform::cpu_features().avx512_bf16) limits.bf16 = MeasuredLimit{};
  if (tile_probes(options.isa) != nullptr) {
    limits.int8_tiles = MeasuredLimit{};
    if (platform::cpu_features().amx_bf16) limits.bf16_tiles = MeasuredLimit{};
  }
  const std::size_t bytes = buffer_sizes(options, options.threads).memory;
  FOLIO_TRY(arena, platform::Arena::create(bytes, "bandwidth probe"));
  platform::ThreadPool pool(options.threads);
  pool.run(bytes / kChunkBytes,
           [&](std::size_t chunk, int) { std::memset(arena.data() + chunk * kChunkBytes, 1, kChunkBytes); });
  measure(limits, &MeasuredLimit::all_threads, {options, probe, pool}, arena.data());
  if (options.threads > 1) {
    platform::ThreadPool alone(1);
    measure(limits, &MeasuredLimit::one_thread, {options, probe, alone}, arena.data());
    return limits;
  }
  for (MeasuredLimit* limit : {&limits.memory, &limits.cache, &limits.int8, &limits.f32})
    limit->one_thread = limit->all_threads;
  for (std::optional<MeasuredLimit>* limit : {&limits.bf16, &limits.int8_tiles, &limits.bf16_tiles})
    if (*limit) (*limit)->one_thread = (*limit)->all_threads;
  return limits;
}

}  // namespace folio::kernels
