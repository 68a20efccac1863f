// The specification of the panel kernels: one output of one row at a time.
#include <cmath>
#include <cstddef>
#include <cstring>
#include <type_traits>

#include "kernels/linear/linear_kernels.h"
#include "kernels/linear/panel_units.h"
#include "kernels/quant/half.h"
#include "kernels/reference_math.h"

namespace folio::kernels {
namespace {

template <typename T>
T read(const std::uint8_t* base, std::size_t index) {
  T value;
  std::memcpy(&value, base + index * sizeof(T), sizeof(T));
  return value;
}

float half_at(const std::uint8_t* base, std::size_t index) {
  return f16_to_f32(read<std::uint16_t>(base, index));
}

// Runs dot(row, output) for every stored output and applies bias and epilogue.
template <typename Dot>
void for_outputs(const PanelArgs& args, Dot dot) {
  for (std::size_t row = 0; row < args.x->rows; ++row)
    for (std::size_t o = 0; o < args.width; ++o) {
      float sum = dot(row, o);
      if (args.bias != nullptr) sum = sum + args.bias[o];
      float& out = args.out[row * args.out_stride + o];
      out = args.epilogue == Epilogue::kAdd ? out + sum : sum;
    }
}

// Float weights: weight(k, o) expands one of them.
template <typename Weight>
void float_panel(const PanelArgs& args, Weight weight) {
  for_outputs(args, [&](std::size_t row, std::size_t o) {
    const float* x = args.x->values + row * args.x->value_stride;
    float sum = 0;
    for (std::size_t k = 0; k < args.columns; ++k) sum = std::fma(x[k], weight(k, o), sum);
    return sum;
  });
}

void f32(const PanelArgs& args) {
  float_panel(args,
              [&](std::size_t k, std::size_t o) { return read<float>(args.panel, k * kPanelOutputs + o); });
}

void f16(const PanelArgs& args) {
  float_panel(args, [&](std::size_t k, std::size_t o) { return half_at(args.panel, k * kPanelOutputs + o); });
}

void bf16(const PanelArgs& args) {
  float_panel(args, [&](std::size_t k, std::size_t o) {
    return bf16_to_f32(read<std::uint16_t>(args.panel, (k / 2 * kPanelOutputs + o) * 2 + k % 2));
  });
}

float flushed(float x) { return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0f, x) : x; }

// fma(x, w, sum) of a machine that takes denormals for zero; x and w are bfloat16. A result is tiny if it
// were below the smallest normal number rounded as a number of any exponent: from 2^-126 (1 - 2^-25) on it is
// not. Near that bound a double holds the exact sum: the product has sixteen bits, and where it is large the
// sum is not near.
float flushed_fma(float x, float w, float sum) {
  x = flushed(x);
  w = flushed(w);
  sum = flushed(sum);
  const float result = std::fma(x, w, sum);
  const double exact = std::fma(double{x}, double{w}, double{sum});
  return std::abs(exact) < 0x1.ffffffp-127 ? std::copysign(0.0f, result) : result;
}

void bf16_dots(const PanelArgs& args) {
  for_outputs(args, [&](std::size_t row, std::size_t o) {
    const std::uint16_t* x = args.x->bfloats + row * args.x->bfloat_stride;
    const auto weight = [&](std::size_t k) {
      return bf16_to_f32(read<std::uint16_t>(args.panel, (k / 2 * kPanelOutputs + o) * 2 + k % 2));
    };
    float sum = 0;
    for (std::size_t k = 0; k < args.columns; k += 2) {
      sum = flushed_fma(bf16_to_f32(x[k + 1]), weight(k + 1), sum);
      sum = flushed_fma(bf16_to_f32(x[k]), weight(k), sum);
    }
    return sum;
  });
}

void rows(const PanelArgs& args) {
  for_outputs(args, [&](std::size_t row, std::size_t o) {
    const float* x = args.x->values + row * args.x->value_stride;
    float lanes[kLanes] = {};
    for (std::size_t k = 0; k < args.columns; ++k)
      lanes[k % kLanes] = std::fma(x[k], read<float>(args.panel, o * args.columns + k), lanes[k % kLanes]);
    if (args.columns % kLanes !=
        0)  // the zero products that fill the last vector: they make +0 of a lane's -0
      for (std::size_t lane = args.columns % kLanes; lane < kLanes; ++lane) lanes[lane] = lanes[lane] + 0.0f;
    return sum_lanes(lanes);
  });
}

// One output of a quantised panel: where its codes, scales and minima are, and which group is asked for.
struct Weights {
  const std::uint8_t* panel;
  UnitLayout units;
  std::size_t group, output;

  float half(std::size_t h = 0) const { return half_at(panel + units.halves_at(group, h), output); }
  std::uint8_t byte(std::size_t b = 0) const { return panel[units.bytes_at(group, b) + output]; }
  float signed_byte() const { return static_cast<float>(static_cast<std::int8_t>(byte())); }
  // Byte of column 4 * quad + k % 4 in line `line` of the codes.
  std::uint8_t in_line(std::size_t line, std::size_t k) const {
    return panel[units.codes_at(group) + (line * kPanelOutputs + output) * 4 + k % 4];
  }
  int nibble(std::size_t k) const {
    const std::size_t lines = units.columns / 8, quad = k / 4;
    const std::uint8_t byte = in_line(quad % lines, k);
    return quad < lines ? byte & 15 : byte >> 4;
  }
  // The nibble with `bits` more from the line behind the nibbles.
  int wide_nibble(std::size_t k, unsigned bits) const {
    const int high = in_line(units.columns / 8, k) >> (k / 4 * bits) & ((1 << bits) - 1);
    return nibble(k) | high << 4;
  }
  int pair(std::size_t k) const { return in_line(0, k) >> (k / 4 * 2) & 3; }
  int pair_and_bit(std::size_t k) const {
    const std::size_t lane = output * 4 + k % 4;
    const int nibble = panel[units.codes_at(group) + 64 + lane / 2] >> (lane % 2 * 4) & 15;
    return pair(k) | (nibble >> (k / 4) & 1) << 2;
  }
};

// code(weights, k) is column k of a group; scale(weights) its scale; minimum(weights) what is added to each
// of its weights, a minimum with its sign, or nothing if that is kNoMinimum.
constexpr auto kNoMinimum = nullptr;

template <typename Code, typename Scale, typename Minimum = std::nullptr_t>
void quantized_panel(const PanelArgs& args, const UnitLayout& units, Code code, Scale scale,
                     Minimum minimum = kNoMinimum) {
  const ActivationRows& x = *args.x;
  for_outputs(args, [&](std::size_t row, std::size_t o) {
    const std::int8_t* high = x.codes + row * kCodePlanes * x.code_stride;
    const std::int8_t* low = high + x.code_stride;
    float sum = 0;
    for (std::size_t g = 0; g < args.columns / units.columns; ++g) {
      const Weights weights{args.panel, units, g, o};
      const std::size_t group = row * x.group_stride + g * units.columns / 32;
      const bool wide = x.wide[group] != 0;
      std::int32_t dot = 0, code_sum = 0;
      for (std::size_t k = 0; k < units.columns; ++k) {
        const std::size_t at = g * units.columns + k;
        const int activation = high[at] * 256 + (wide ? low[at] : 0);
        dot += code(weights, k) * activation;
        code_sum += activation;
      }
      const float sx = x.scales[group];
      sum = std::fma(scale(weights) * sx, static_cast<float>(dot), sum);
      if constexpr (!std::is_same_v<Minimum, std::nullptr_t>)
        sum = std::fma(minimum(weights), sx * static_cast<float>(code_sum), sum);
    }
    return sum;
  });
}

float own_half(const Weights& w) { return w.half(); }
float second_half(const Weights& w) { return w.half(1); }
float scale_times_byte(const Weights& w) { return w.half() * static_cast<float>(w.byte()); }
float scale_times_signed_byte(const Weights& w) { return w.half() * w.signed_byte(); }
float minus_minimum_times_byte(const Weights& w) { return -w.half(1) * static_cast<float>(w.byte(1)); }

void q8_0(const PanelArgs& args) {
  const auto code = [](const Weights& w, std::size_t k) {
    return static_cast<std::int8_t>(w.in_line(k / 4, k));
  };
  quantized_panel(args, kQ8_0Units, code, own_half);
}

void q4_0(const PanelArgs& args) {
  const auto code = [](const Weights& w, std::size_t k) { return w.nibble(k) - 8; };
  quantized_panel(args, kQ4_0Units, code, own_half);
}

void q4_1(const PanelArgs& args) {
  const auto code = [](const Weights& w, std::size_t k) { return w.nibble(k); };
  quantized_panel(args, kQ4_1Units, code, own_half, second_half);
}

void q5_0(const PanelArgs& args) {
  const auto code = [](const Weights& w, std::size_t k) { return w.wide_nibble(k, 1) - 16; };
  quantized_panel(args, kQ5_0Units, code, own_half);
}

void q5_1(const PanelArgs& args) {
  const auto code = [](const Weights& w, std::size_t k) { return w.wide_nibble(k, 1); };
  quantized_panel(args, kQ5_1Units, code, own_half, second_half);
}

void q4_k(const PanelArgs& args) {
  const auto code = [](const Weights& w, std::size_t k) { return w.nibble(k); };
  quantized_panel(args, kQ4_KUnits, code, scale_times_byte, minus_minimum_times_byte);
}

void q5_k(const PanelArgs& args) {
  const auto code = [](const Weights& w, std::size_t k) { return w.wide_nibble(k, 1); };
  quantized_panel(args, kQ5_KUnits, code, scale_times_byte, minus_minimum_times_byte);
}

void q6_k(const PanelArgs& args) {
  const auto code = [](const Weights& w, std::size_t k) { return w.wide_nibble(k, 2) - 32; };
  quantized_panel(args, kQ6_KUnits, code, scale_times_signed_byte);
}

void q2_k(const PanelArgs& args) {
  const auto code = [](const Weights& w, std::size_t k) { return w.pair(k); };
  const auto scale = [](const Weights& w) { return w.half() * static_cast<float>(w.byte() & 15); };
  const auto minimum = [](const Weights& w) { return -w.half(1) * static_cast<float>(w.byte() >> 4); };
  quantized_panel(args, kQ2_KUnits, code, scale, minimum);
}

void q3_k(const PanelArgs& args) {
  const auto code = [](const Weights& w, std::size_t k) { return w.pair_and_bit(k) - 4; };
  quantized_panel(args, kQ3_KUnits, code, scale_times_signed_byte);
}

int bell(const Weights& w, std::size_t k) { return kBell[w.nibble(k)]; }

void iq4_nl(const PanelArgs& args) { quantized_panel(args, kQ4_0Units, bell, own_half); }
void iq4_xs(const PanelArgs& args) { quantized_panel(args, kIQ4_XSUnits, bell, scale_times_signed_byte); }

void mxfp4(const PanelArgs& args) {
  const auto code = [](const Weights& w, std::size_t k) { return kE2M1[w.nibble(k)]; };
  const auto scale = [](const Weights& w) {
    return bf16_to_f32(read<std::uint16_t>(w.panel + w.units.halves_at(w.group), w.output));
  };
  quantized_panel(args, kQ4_0Units, code, scale);
}

}  // namespace

const LinearKernels kLinearReference = {
#define LINEAR_KERNEL(field, Format) .field = field,
#include "kernels/linear/kernels.inc"
#undef LINEAR_KERNEL
};

}  // namespace folio::kernels
