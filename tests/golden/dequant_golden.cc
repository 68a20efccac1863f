#include "golden/dequant_golden.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string_view>

#include "kernels/quant/dequantize.h"
#include "weights/safetensors.h"

namespace folio::golden {
namespace {

namespace fs = std::filesystem;
using kernels::TensorTypeInfo;
using weights::SafetensorsEntry;
using weights::SafetensorsFile;

constexpr double kMaxUlps = 1.0;

struct Differences {
  double worst_ulps = 0.0;
  std::size_t worst_at = 0;
  std::size_t bit_equal = 0;
};

GoldenLine failed(std::string name, std::string why) {
  return {std::move(name), GoldenStatus::kFail, std::move(why)};
}

// Distance in units in the last place of `want`; 0 for equal bits and for two NaNs; infinite where only one
// is finite.
double ulps(float got, float want) {
  if (std::bit_cast<std::uint32_t>(got) == std::bit_cast<std::uint32_t>(want)) return 0.0;
  if (std::isnan(got) && std::isnan(want)) return 0.0;
  if (!std::isfinite(got) || !std::isfinite(want)) return HUGE_VAL;
  const float magnitude = std::fabs(want);
  const double unit =
      static_cast<double>(std::nextafterf(magnitude, HUGE_VALF)) - static_cast<double>(magnitude);
  return std::fabs(static_cast<double>(got) - static_cast<double>(want)) / unit;
}

Differences compare(const std::vector<float>& got, std::span<const std::byte> values) {
  Differences result;
  for (std::size_t i = 0; i < got.size(); ++i) {
    float want;
    std::memcpy(&want, values.data() + i * sizeof want, sizeof want);
    result.bit_equal += std::bit_cast<std::uint32_t>(got[i]) == std::bit_cast<std::uint32_t>(want);
    if (const double distance = ulps(got[i], want); distance > result.worst_ulps) {
      result.worst_ulps = distance;
      result.worst_at = i;
    }
  }
  return result;
}

std::optional<std::uint32_t> number(const std::string* text) {
  if (text == nullptr) return std::nullopt;
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  return error == std::errc() && end == text->data() + text->size() ? std::optional(value) : std::nullopt;
}

// The type that the file's metadata name, if its sizes are folio's too; else why not.
Result<const TensorTypeInfo*> type_of(const SafetensorsFile& file) {
  const auto id = number(file.header.find_metadata("type_id"));
  if (!id) return fail(ErrorKind::kInvalid, "metadata have no number type_id");
  const TensorTypeInfo* type = kernels::find_tensor_type(*id);
  if (type == nullptr) return fail(ErrorKind::kUnsupported, "type {} is not supported", *id);
  const auto elements = number(file.header.find_metadata("block"));
  const auto bytes = number(file.header.find_metadata("bytes"));
  if (elements != type->elements || bytes != type->bytes) {
    return fail(ErrorKind::kInvalid, "block and bytes are not folio's {} and {}", type->elements,
                type->bytes);
  }
  return type;
}

// Error unless `blocks` and `values` are there, of the right kind, with n rows each.
Status check_shapes(const SafetensorsEntry* blocks, const SafetensorsEntry* values,
                    const TensorTypeInfo& type) {
  if (blocks == nullptr || values == nullptr) return fail(ErrorKind::kInvalid, "lacks blocks or values");
  if (blocks->dtype != "U8" || values->dtype != "F32")
    return fail(ErrorKind::kInvalid, "blocks are not U8 or values not F32");
  const std::size_t n = blocks->data.size() / type.bytes;
  if (n == 0 || n * type.bytes != blocks->data.size() ||
      n * type.elements * sizeof(float) != values->data.size()) {
    return fail(ErrorKind::kInvalid, "sizes of blocks and values do not belong together");
  }
  return {};
}

GoldenLine check_file(const fs::path& path) {
  const std::string name = "dequant/" + path.stem().string();
  const auto file = SafetensorsFile::open(path.string());
  if (!file) return failed(name, file.error().message);
  const auto type = type_of(*file);
  if (!type) return failed(name, type.error().message);
  const SafetensorsEntry* blocks = file->header.find("blocks");
  const SafetensorsEntry* values = file->header.find("values");
  if (const Status shapes = check_shapes(blocks, values, **type); !shapes)
    return failed(name, shapes.error().message);

  std::vector<float> got(values->data.size() / sizeof(float));
  kernels::dequantize((*type)->type, blocks->data.data(), got.data(), got.size());
  const Differences found = compare(got, values->data);
  const GoldenStatus status = found.worst_ulps <= kMaxUlps ? GoldenStatus::kPass : GoldenStatus::kFail;
  std::string detail = fmt::format("largest error {:.3g} ulp (allowed {}), {} of {} values bit-equal",
                                   found.worst_ulps, kMaxUlps, found.bit_equal, got.size());
  if (status == GoldenStatus::kFail) detail += fmt::format(", worst at value {}", found.worst_at);
  return {name, status, std::move(detail)};
}

std::vector<fs::path> files_of(const std::string& directory) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
    if (entry->path().extension() == ".safetensors") files.push_back(entry->path());
  }
  std::ranges::sort(files);
  return files;
}

}  // namespace

bool is_dequant_folder(const std::string& directory) {
  for (const fs::path& path : files_of(directory)) {
    const auto file = SafetensorsFile::open(path.string());
    if (file && file->header.find("blocks") != nullptr && file->header.find("values") != nullptr) return true;
  }
  return false;
}

std::vector<GoldenLine> check_dequant(const std::string& directory) {
  std::vector<GoldenLine> lines;
  for (const fs::path& path : files_of(directory)) lines.push_back(check_file(path));
  if (lines.empty())
    lines.push_back(failed("dequant", fmt::format("{}: has no *.safetensors files", directory)));
  return lines;
}

}  // namespace folio::golden
