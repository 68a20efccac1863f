// safetensors files: u64 header bytes | JSON header | data.
//
// The header is one object: tensor name -> {"dtype", "shape", "data_offsets": [begin, end)}, offsets relative
// to the data;
// "__metadata__" maps strings to strings. The tensors cover the data section exactly: no overlap, no hole, no
// rest.
//
// The reader keeps the dtype as the file spells it, so that any file can be read; which dtypes may be weights
// is decided by hf_model.h. The JSON is read as a stream of events with a fixed nesting, never as a tree.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "platform/mapped_file.h"

namespace folio::weights {

inline constexpr std::uint64_t kMaxSafetensorsHeaderBytes = 100u << 20;
inline constexpr std::size_t kMaxSafetensorsDims = 8;

struct SafetensorsEntry {
  std::string name;
  std::string dtype;                 // "F32", "BF16", "U8", ...
  std::vector<std::uint64_t> shape;  // row-major; empty for a scalar
  std::span<const std::byte> data;
  std::uint64_t offset = 0;  // of data in the file
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;                      // in the order of the header
  std::vector<std::pair<std::string, std::string>> metadata;  // __metadata__, in order

  const SafetensorsEntry* find(std::string_view name) const;     // nullptr if absent; linear
  const std::string* find_metadata(std::string_view key) const;  // nullptr if absent
};

// Bits of one number; nullopt for a dtype that the format does not know.
std::optional<std::uint32_t> safetensors_dtype_bits(std::string_view dtype);

// Reads a file that is in memory. `source` is the name that messages start with. `bytes` must outlive the
// result.
Result<SafetensorsHeader> parse_safetensors(std::span<const std::byte> bytes, std::string_view source);

struct SafetensorsFile {
  platform::MappedFile file;  // entries point into it
  SafetensorsHeader header;

  static Result<SafetensorsFile> open(const std::string& path);
};

}  // namespace folio::weights
