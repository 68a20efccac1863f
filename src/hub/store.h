// Store: the models in a folder on this machine, as `folio pull` leaves them there: ORGANISATION/NAME/FILE,
// and files put there by hand.
//
// Threads: any; looks at the disk each time.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace folio::hub {

// The end of a name that a file has until all of it is there and checked.
inline constexpr std::string_view kPartSuffix = ".part";

struct StoredModel {
  std::string
      name;  // what `folio run` takes: "organisation/name:file.gguf", "organisation/name", "file.gguf"
  std::string path;  // of the GGUF file, of the first of its parts, or of the folder of a Hugging Face model
  std::size_t bytes = 0;
  std::vector<std::string> more_parts;  // of a split GGUF file: the paths of the others
};

class Store {
 public:
  explicit Store(std::string folder) : folder_(std::move(folder)) {}

  const std::string& folder() const { return folder_; }
  // By name. Left out is what has no safe name (is_safe_path()), and all parts of a model but the first.
  [[nodiscard]] std::vector<StoredModel> list() const;
  // A name as list() has it, with or without "hf://" and ".gguf", or what is before its colon if only one
  // model is so called. Errors: kNotFound; kInvalid, naming the candidates.
  [[nodiscard]] Result<StoredModel> find(std::string_view name) const;
  // Removes the model's files, and folders that are empty then.
  [[nodiscard]] Status remove(const StoredModel& model) const;

 private:
  std::string folder_;
};

}  // namespace folio::hub
