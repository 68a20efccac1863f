#include "weights/open.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <string_view>

#include "weights/safetensors.h"

namespace folio::weights {
namespace {

namespace fs = std::filesystem;

// Lower case, leading white space skipped: enough of a file to know it by.
std::string beginning(std::span<const std::byte> bytes) {
  std::string text(reinterpret_cast<const char*>(bytes.data()), std::min<std::size_t>(bytes.size(), 256));
  text.erase(0, std::min(text.find_first_not_of(" \t\r\n\xef\xbb\xbf"), text.size()));
  std::ranges::transform(text, text.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return text;
}

bool looks_like_safetensors(std::span<const std::byte> bytes) {
  std::uint64_t header_bytes = 0;
  if (bytes.size() < 9) return false;
  std::memcpy(&header_bytes, bytes.data(), sizeof header_bytes);
  return header_bytes <= kMaxSafetensorsHeaderBytes && static_cast<char>(bytes[8]) == '{';
}

struct Known {
  std::string_view start;
  std::string_view says;
};

constexpr Known kKnown[] = {
    {"<!doctype", "is a web page, not a model; download the file itself"},
    {"<html", "is a web page, not a model; download the file itself"},
    {"<?xml", "is an XML document (an error page?), not a model; download the file itself"},
    {"version https://git-lfs", "is a Git LFS pointer, not the model; fetch the file with `git lfs pull`"},
    {"pk\x03\x04",
     "is a zip archive (a PyTorch checkpoint?); folio reads GGUF files and directories with safetensors"},
    {"\x1f\x8b", "is a gzip archive; unpack it first"},
    {"tjgg", "is a GGML file older than GGUF; convert it to GGUF"},
    {"fmgg", "is a GGML file older than GGUF; convert it to GGUF"},
    {"lmgg", "is a GGML file older than GGUF; convert it to GGUF"},
    {"{", "is JSON, not a model; give the directory that it is in"},
};

std::unexpected<Error> not_a_model(const std::string& path, std::span<const std::byte> bytes) {
  if (looks_like_safetensors(bytes)) {
    return fail(ErrorKind::kInvalid,
                "{}: is a safetensors file; give its directory, which must hold config.json too", path);
  }
  const std::string start = beginning(bytes);
  for (const Known& known : kKnown) {
    if (start.starts_with(known.start)) return fail(ErrorKind::kInvalid, "{}: {}", path, known.says);
  }
  return fail(ErrorKind::kInvalid,
              "{}: is no model that folio knows: its first bytes are not GGUF's (byte 0)", path);
}

// The GGUF file of a directory that is no Hugging Face model, to name in the message; empty if none.
std::string a_gguf_in(const std::string& directory) {
  std::error_code error;
  std::string first;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name.ends_with(".gguf") && (first.empty() || name < first)) first = name;
  }
  return first;
}

Hash128 digest_of(const GgufModel& model) {
  Hash128 sum;
  for (const std::span<const std::byte> head : model.heads)
    sum = hash128({std::as_bytes(std::span(&sum, 1)), head});
  return sum;
}

Hash128 digest_of(const HfModel& model) {
  const std::string text = model.config.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return hash128({std::as_bytes(std::span(text))});
}

}  // namespace

Result<AnyModel> open_model(const std::string& path) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) {
    const std::string gguf = a_gguf_in(path);
    if (!gguf.empty() && !fs::exists(fs::path(path) / "config.json", ignored)) {
      return fail(ErrorKind::kInvalid, "{}: is a directory of GGUF files; give one of them, such as {}", path,
                  gguf);
    }
    return HfModel::open(path);
  }
  FOLIO_TRY(file, platform::MappedFile::open(path));
  const auto bytes = file.bytes();
  if (bytes.size() < 4 || std::memcmp(bytes.data(), "GGUF", 4) != 0) return not_a_model(path, bytes);
  return GgufModel::open(path);
}

const TensorStore& tensors_of(const AnyModel& model) {
  return std::visit([](const auto& files) -> const TensorStore& { return files.tensors; }, model);
}

Hash128 description_digest(const AnyModel& model) {
  return std::visit([](const auto& files) { return digest_of(files); }, model);
}

}  // namespace folio::weights
