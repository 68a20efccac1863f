// GGUF v2 and v3 files, single or split -> metadata and tensors.
//
// Layout of a file, all little-endian, nothing aligned before the data section:
//
//   "GGUF" | u32 version | u64 tensor count | u64 entry count
//   entries:  string key | u32 type | value              string = u64 bytes, then that many bytes
//   tensors:  string name | u32 dims | u64 dim[dims] | u32 type | u64 offset      dim[0] is the contiguous
//   one padding to general.alignment (32) | data section: tensor t at `offset` from its start, each padded to
//   the alignment
//
// Reading trusts nothing: every count and length is compared with the bytes that are left before memory is
// taken for it, so a hostile file costs at most a few times its own size. Errors are one sentence: file,
// field, byte offset.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "weights/gguf_metadata.h"
#include "weights/tensor_store.h"

namespace folio::weights {

inline constexpr std::uint64_t kMaxGgufEntries = 1u << 16;        // key-value pairs
inline constexpr std::uint64_t kMaxGgufKeyBytes = 1u << 16;       // of a key
inline constexpr std::uint64_t kMaxGgufNameBytes = 1u << 10;      // of a tensor name
inline constexpr std::uint64_t kMaxGgufStringBytes = 64u << 20;   // of a string value or array element
inline constexpr std::uint64_t kMaxGgufArrayElements = 1u << 26;  // of one array
inline constexpr std::uint32_t kMaxGgufDims = 4;
inline constexpr std::uint32_t kMaxGgufAlignment = 1u << 20;
inline constexpr std::uint32_t kMaxGgufParts = 9999;  // of a split model

// One file's contents, as views into its bytes.
struct GgufPart {
  std::uint32_t version = 0;
  GgufMetadata metadata;
  std::vector<Tensor> tensors;
  std::span<const std::byte> head;  // everything before the data section
};

// Reads a file that is in memory. `source` is the name that messages start with. `bytes` must outlive the
// result.
Result<GgufPart> parse_gguf(std::span<const std::byte> bytes, std::string_view source);

// A whole model. Its metadata are those of the first part.
struct GgufModel {
  std::vector<std::string> paths;  // one, or all parts in order
  std::uint32_t version = 0;
  GgufMetadata metadata;
  TensorStore tensors;                            // keeps the mappings that metadata and heads point into
  std::vector<std::span<const std::byte>> heads;  // of each file: everything before its data section

  // `path` is the file or any part (`NAME-00001-of-00003.gguf`) of a split one. Errors: those of
  // MappedFile::open and parse_gguf; a missing part, or parts that contradict each other. Cost: reads all
  // headers, no tensor data.
  static Result<GgufModel> open(const std::string& path);
};

}  // namespace folio::weights
