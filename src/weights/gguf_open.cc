// GgufModel::open(): the file layer over parse_gguf(), and split models.
#include <optional>
#include <utility>

#include "weights/gguf.h"
#include "weights/gguf_split.h"

namespace folio::weights {
namespace {

struct OpenPart {
  platform::MappedFile file;
  GgufPart part;
};

Result<OpenPart> open_part(const std::string& path) {
  FOLIO_TRY(file, platform::MappedFile::open(path));
  auto part = parse_gguf(file.bytes(), path);
  FOLIO_TRY_STATUS(file.check_whole());  // what was read of a file cut short is no matter
  if (!part) return pass(std::move(part));
  return OpenPart{std::move(file), std::move(*part)};
}

// Number of files that the model is in, as the file says.
Result<std::uint32_t> split_count(const GgufMetadata& metadata) {
  FOLIO_TRY(count, metadata.find_u32("split.count"));
  if (count.value_or(1) > kMaxGgufParts) {
    return fail(ErrorKind::kTooLarge, "{}: metadata key 'split.count' is {}, the limit is {}",
                metadata.source(), *count, kMaxGgufParts);
  }
  return count.value_or(1) == 0 ? 1 : count.value_or(1);
}

// Error unless the file calls itself part `name.number` of `name.parts`.
Status check_part(const GgufMetadata& metadata, const SplitName& name) {
  FOLIO_TRY(count, split_count(metadata));
  FOLIO_TRY(index, metadata.get_u32("split.no"));
  if (count == name.parts && index == name.number - 1) return {};
  return fail(ErrorKind::kInvalid,
              "{}: metadata say part {} of {} (split.no, split.count), the file name says part {} of {}",
              metadata.source(), std::uint64_t{index} + 1, count, name.number, name.parts);
}

// Error unless all parts together hold as many tensors as the first one announces.
Status check_total(const GgufMetadata& metadata, std::size_t found) {
  FOLIO_TRY(announced, metadata.find_u64("split.tensors.count"));
  if (!announced || *announced == found) return {};
  return fail(ErrorKind::kInvalid,
              "{}: metadata key 'split.tensors.count' is {} but the parts hold {} tensors", metadata.source(),
              *announced, found);
}

Result<std::vector<OpenPart>> open_parts(SplitName name) {
  std::vector<OpenPart> parts;
  for (name.number = 1; name.number <= name.parts; ++name.number) {
    const std::string path = split_name(name);
    auto part = open_part(path);
    if (!part && part.error().kind == ErrorKind::kNotFound) {
      return fail(ErrorKind::kNotFound,
                  "{}: part {} of {} of a split model is missing; put all parts into one directory", path,
                  name.number, name.parts);
    }
    if (!part) return pass(std::move(part));
    FOLIO_TRY_STATUS(check_part(part->part.metadata, name));
    parts.push_back(std::move(*part));
  }
  return parts;
}

// `parts` in order. Paths, metadata and version are the first one's; tensors come from all.
Result<GgufModel> assemble(std::string source, std::vector<OpenPart> parts) {
  GgufModel model;
  model.version = parts.front().part.version;
  model.metadata = std::move(parts.front().part.metadata);
  std::vector<platform::MappedFile> files;
  std::vector<Tensor> tensors;
  for (OpenPart& part : parts) {
    model.paths.push_back(part.file.path());
    model.heads.push_back(part.part.head);
    files.push_back(std::move(part.file));
    for (Tensor& tensor : part.part.tensors) tensors.push_back(std::move(tensor));
  }
  if (parts.size() > 1) FOLIO_TRY_STATUS(check_total(model.metadata, tensors.size()));
  FOLIO_TRY(store, TensorStore::make(std::move(source), std::move(files), std::move(tensors)));
  model.tensors = std::move(store);
  return model;
}

}  // namespace

Result<GgufModel> GgufModel::open(const std::string& path) {
  FOLIO_TRY(given, open_part(path));
  FOLIO_TRY(count, split_count(given.part.metadata));
  if (count == 1) {
    std::vector<OpenPart> parts;
    parts.push_back(std::move(given));
    return assemble(path, std::move(parts));
  }
  const std::optional<SplitName> name = parse_split_name(path);
  if (!name) {
    return fail(ErrorKind::kInvalid,
                "{}: is one of {} parts of a split model, so its name must end in -0000N-of-{:05}.gguf for "
                "the others to be found",
                path, count, count);
  }
  FOLIO_TRY_STATUS(check_part(given.part.metadata, *name));
  FOLIO_TRY(parts, open_parts(*name));
  return assemble(path, std::move(parts));
}

}  // namespace folio::weights
