// The specification of the panel kernels: one output of one row at a time.
#include <cmath>
#include <cstring>

#include "kernels/linear/linear_kernels.h"
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

// Integer weights: code(group, k, o) is weight k of the group, k = 0..31; finish(sum, group, o, dot, row)
// adds the group. The dot of 32 weights of eight bits and activations of sixteen is below 2^27.
template <typename Code, typename Finish>
void integer_panel(const PanelArgs& args, Code code, Finish finish) {
  const ActivationRows& x = *args.x;
  for_outputs(args, [&](std::size_t row, std::size_t o) {
    const std::int8_t* high = x.codes + row * x.planes * x.code_stride;
    const std::int8_t* low = x.planes == 2 ? high + x.code_stride : nullptr;
    float sum = 0;
    for (std::size_t g = 0; g < args.columns / 32; ++g) {
      std::int32_t dot = 0;
      for (std::size_t k = g * 32; k < (g + 1) * 32; ++k)
        dot += code(g, k % 32, o) * (low == nullptr ? high[k] : high[k] * 256 + low[k]);
      sum = finish(sum, g, o, static_cast<float>(dot), row);
    }
    return sum;
  });
}

int nibble_at(const std::uint8_t* codes, std::size_t k, std::size_t o) {
  const std::uint8_t byte = codes[(k % 16 / 4 * kPanelOutputs + o) * 4 + k % 4];
  return k < 16 ? byte & 0x0f : byte >> 4;
}

void q8_0(const PanelArgs& args) {
  integer_panel(
      args,
      [&](std::size_t g, std::size_t k, std::size_t o) {
        return static_cast<std::int8_t>(
            Q8Units::codes(args.panel, g)[(k / 4 * kPanelOutputs + o) * 4 + k % 4]);
      },
      [&](float sum, std::size_t g, std::size_t o, float dot, std::size_t row) {
        const float sw = half_at(Q8Units::halves(args.panel, g), o);
        return std::fma(sw * args.x->scales[row * args.x->group_stride + g], dot, sum);
      });
}

void q4_0(const PanelArgs& args) {
  integer_panel(
      args,
      [&](std::size_t g, std::size_t k, std::size_t o) {
        return nibble_at(Q4_0Units::codes(args.panel, g), k, o) - 8;
      },
      [&](float sum, std::size_t g, std::size_t o, float dot, std::size_t row) {
        const float sw = half_at(Q4_0Units::halves(args.panel, g), o);
        return std::fma(sw * args.x->scales[row * args.x->group_stride + g], dot, sum);
      });
}

void q4_1(const PanelArgs& args) {
  integer_panel(
      args,
      [&](std::size_t g, std::size_t k, std::size_t o) {
        return nibble_at(Q4_1Units::codes(args.panel, g), k, o);
      },
      [&](float sum, std::size_t g, std::size_t o, float dot, std::size_t row) {
        const std::uint8_t* halves = Q4_1Units::halves(args.panel, g);
        const std::size_t index = row * args.x->group_stride + g;
        const float sx = args.x->scales[index];
        sum = std::fma(half_at(halves, o) * sx, dot, sum);
        return std::fma(half_at(halves, kPanelOutputs + o), sx * static_cast<float>(args.x->sums[index]),
                        sum);
      });
}

}  // namespace

const LinearKernels kLinearReference = {
#define LINEAR_KERNEL(field, Format) .field = field,
#include "kernels/linear/kernels.inc"
#undef LINEAR_KERNEL
};

}  // namespace folio::kernels
