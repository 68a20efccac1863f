#include "base/rng.h"

namespace folio {
namespace {

constexpr std::uint32_t low32(std::uint64_t value) { return static_cast<std::uint32_t>(value); }
constexpr std::uint32_t high32(std::uint64_t value) { return static_cast<std::uint32_t>(value >> 32); }

}  // namespace

std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key) {
  constexpr std::uint64_t kMultiplier0 = 0xD2511F53;
  constexpr std::uint64_t kMultiplier1 = 0xCD9E8D57;
  constexpr std::uint32_t kWeyl0 = 0x9E3779B9;
  constexpr std::uint32_t kWeyl1 = 0xBB67AE85;
  constexpr int kRounds = 10;
  for (int round = 0; round < kRounds; ++round) {
    const std::uint64_t product0 = kMultiplier0 * counter[0];
    const std::uint64_t product1 = kMultiplier1 * counter[2];
    counter = {high32(product1) ^ counter[1] ^ key[0], low32(product1),
               high32(product0) ^ counter[3] ^ key[1], low32(product0)};
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return counter;
}

double uniform(RandomName name) {
  const auto bits =
      philox4x32({low32(name.position), high32(name.position), low32(name.stream), high32(name.stream)},
                 {low32(name.seed), high32(name.seed)});
  const std::uint64_t word = (std::uint64_t{bits[1]} << 32) | bits[0];
  return static_cast<double>(word >> 11) * 0x1p-53;
}

}  // namespace folio
