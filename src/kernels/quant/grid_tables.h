// The codebooks of IQ1, IQ2 and IQ3: each entry is a point of a grid, packed into 16 bits.
// Source: the tables of the GGUF format as published in the Python package `gguf` 0.19 (gguf.quants),
// re-packed.
#pragma once

#include <array>
#include <cstdint>

namespace folio::kernels::quant {

// Eight numbers of 2 bits, number j in bits 2j and 2j+1.
extern const std::array<std::uint16_t, 2048> kGridIQ1;     // digit 0, 1, 2 -> -1, 0, 1
extern const std::array<std::uint16_t, 256> kGridIQ2_XXS;  // digit 0, 1, 2 -> 8, 25, 43; likewise XS and S
extern const std::array<std::uint16_t, 512> kGridIQ2_XS;
extern const std::array<std::uint16_t, 1024> kGridIQ2_S;

// Four numbers of 4 bits, number j in bits 4j .. 4j+3.
extern const std::array<std::uint16_t, 256> kGridIQ3_XXS;  // digit i -> 8i + 4, but 7 -> 62
extern const std::array<std::uint16_t, 512> kGridIQ3_S;    // digit i -> 2i + 1

}  // namespace folio::kernels::quant
