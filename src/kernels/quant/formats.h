// One function per block format, each turning `count` consecutive blocks into count * elements float32
// numbers. Internal to kernels/quant; everyone else calls dequantize().
#pragma once

#include <cstddef>
#include <cstdint>

namespace folio::kernels::quant {

// Bytes of a block. Unlike std::byte they take part in arithmetic.
using Bytes = const std::uint8_t*;
using Decode = void (*)(Bytes blocks, float* out, std::size_t count);

// float_formats.cc
void decode_f32(Bytes blocks, float* out, std::size_t count);
void decode_f16(Bytes blocks, float* out, std::size_t count);
void decode_bf16(Bytes blocks, float* out, std::size_t count);

// q_formats.cc: 32 numbers, one scale
void decode_q4_0(Bytes blocks, float* out, std::size_t count);
void decode_q4_1(Bytes blocks, float* out, std::size_t count);
void decode_q5_0(Bytes blocks, float* out, std::size_t count);
void decode_q5_1(Bytes blocks, float* out, std::size_t count);
void decode_q8_0(Bytes blocks, float* out, std::size_t count);

// k_formats.cc: 256 numbers, scales of sub-blocks
void decode_q2_k(Bytes blocks, float* out, std::size_t count);
void decode_q3_k(Bytes blocks, float* out, std::size_t count);
void decode_q4_k(Bytes blocks, float* out, std::size_t count);
void decode_q5_k(Bytes blocks, float* out, std::size_t count);
void decode_q6_k(Bytes blocks, float* out, std::size_t count);

// table4_formats.cc: four bits index a table of 16 values
void decode_iq4_nl(Bytes blocks, float* out, std::size_t count);
void decode_iq4_xs(Bytes blocks, float* out, std::size_t count);
void decode_mxfp4(Bytes blocks, float* out, std::size_t count);
void decode_nvfp4(Bytes blocks, float* out, std::size_t count);

// ternary_formats.cc
void decode_tq1_0(Bytes blocks, float* out, std::size_t count);
void decode_tq2_0(Bytes blocks, float* out, std::size_t count);

// grid_formats.cc: an index picks four or eight values at once
void decode_iq1_s(Bytes blocks, float* out, std::size_t count);
void decode_iq1_m(Bytes blocks, float* out, std::size_t count);
void decode_iq2_xxs(Bytes blocks, float* out, std::size_t count);
void decode_iq2_xs(Bytes blocks, float* out, std::size_t count);
void decode_iq2_s(Bytes blocks, float* out, std::size_t count);
void decode_iq3_xxs(Bytes blocks, float* out, std::size_t count);
void decode_iq3_s(Bytes blocks, float* out, std::size_t count);

}  // namespace folio::kernels::quant
