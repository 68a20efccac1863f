#include "kv/kv_geometry.h"

#include <string_view>

namespace folio::kv {
namespace {

static_assert(double{kMaxLayers} * kMaxKvHeads * kMaxHeadDim * 2 * 4 * kMaxBlockTokens < 0x1p62,
              "the largest shape's block must fit into a size_t");

Status check_range(std::string_view field, std::uint32_t value, std::uint32_t limit) {
  if (value >= 1 && value <= limit) return {};
  return fail(ErrorKind::kInvalid, "KV shape: {} is {}, but must be from 1 to {}", field, value, limit);
}

// 1234567 -> "1,234,567"
std::string grouped(std::size_t number) {
  std::string text = fmt::to_string(number);
  for (std::size_t end = text.size(); end > 3; end -= 3) text.insert(end - 3, 1, ',');
  return text;
}

}  // namespace

Result<KvGeometry> KvGeometry::create(const KvShape& shape) {
  FOLIO_TRY_STATUS(check_range("layers", shape.layers, kMaxLayers));
  FOLIO_TRY_STATUS(check_range("kv_heads", shape.kv_heads, kMaxKvHeads));
  FOLIO_TRY_STATUS(check_range("key_dim", shape.key_dim, kMaxHeadDim));
  FOLIO_TRY_STATUS(check_range("value_dim", shape.value_dim, kMaxHeadDim));
  FOLIO_TRY_STATUS(check_range("block_tokens", shape.block_tokens, kMaxBlockTokens));
  if (shape.block_tokens % kernels::kTileTokens != 0)
    return fail(ErrorKind::kInvalid, "KV shape: block_tokens is {}, but must be a multiple of {}, at most {}",
                shape.block_tokens, kernels::kTileTokens, kMaxBlockTokens);
  return KvGeometry(shape);
}

KvGeometry::KvGeometry(const KvShape& shape)
    : shape_(shape),
      key_tile_bytes_(kernels::key_tile_bytes(shape.type, shape.key_dim)),
      value_tile_bytes_(kernels::value_tile_bytes(shape.type, shape.value_dim)),
      layer_bytes_(shape.kv_heads * tiles_per_block() * (key_tile_bytes_ + value_tile_bytes_)) {}

std::size_t KvGeometry::padding_bytes_per_token() const {
  const std::size_t numbers =
      std::size_t{shape_.layers} * shape_.kv_heads * (shape_.key_dim + shape_.value_dim);
  return bytes_per_token() - numbers * kernels::element_bytes(shape_.type);
}

std::string KvGeometry::formula() const {
  const bool same_dims = shape_.key_dim == shape_.value_dim;
  const std::string dims = same_dims ? fmt::format("{} dims", shape_.key_dim)
                                     : fmt::format("({} K + {} V dims)", shape_.key_dim, shape_.value_dim);
  const std::size_t padding = padding_bytes_per_token();
  return fmt::format(
      "{}{} layers x {} KV heads x {} x {} bytes ({}){} = {} bytes per token; x {} tokens = {} bytes per "
      "block",
      same_dims ? "2 (K and V) x " : "", shape_.layers, shape_.kv_heads, dims,
      kernels::element_bytes(shape_.type), kernels::name(shape_.type),
      padding == 0 ? "" : fmt::format(" + {} bytes of padding", grouped(padding)), grouped(bytes_per_token()),
      shape_.block_tokens, grouped(block_bytes()));
}

}  // namespace folio::kv
