// Counter-based random numbers: a number is a function of its name, there is no state to carry, share or
// lose. Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
// Thread rule: pure functions. Cost: about 10 ns.
#pragma once

#include <array>
#include <cstdint>

namespace folio {

// The block cipher itself: 128 random bits for a 128-bit counter under a 64-bit key.
std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key);

// The name of one random number: the `stream`-th independent sequence of a seed, at one position.
struct RandomName {
  std::uint64_t seed = 0;
  std::uint64_t stream = 0;
  std::uint64_t position = 0;
};

// Uniform in [0, 1), a multiple of 2^-53.
double uniform(RandomName name);

}  // namespace folio
