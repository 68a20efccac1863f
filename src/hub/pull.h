// pull(): brings a model from the hub, or from a URL, into the store: resumed where it was cut, checked
// against the hash that the hub states, and under its name only when all of it is there.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "hub/reference.h"

namespace folio::hub {

struct PullRequest {
  Reference reference;
  std::string endpoint = "https://huggingface.co";  // without a slash at its end
  std::string token;                                // empty: none; the endpoint's alone
  std::string folder;                               // of the store
  std::function<void(const std::string& file, std::size_t done, std::size_t whole)> on_progress;
  std::function<void(const std::string& sentence)> on_note;  // a cut, a wait
};

struct Pulled {
  std::string path;  // to open
  std::size_t files = 0, bytes = 0;
};

// Several processes may pull the same model: one downloads a file, the others wait for it and take it as it
// is. Errors: kNotFound for what the hub does not have (naming the files it has), kIo for a network or disk
// that fails again and again, kTooLarge for a disk without room, kInvalid for a file whose hash is wrong (it
// is removed).
[[nodiscard]] Result<Pulled> pull(const PullRequest& request);

// A file of a repository, as the hub lists it.
struct HubFile {
  std::string path;       // is_safe_path()
  std::size_t bytes = 0;  // 0: not known
  std::string sha256;     // of large files
  std::string git_blob;   // of the others
};

// The files that make the model that is asked for: one GGUF with all its parts, or a Hugging Face model's.
// `wanted` is a path, a quantisation or a part of a name, the first that fits deciding in this order: the
// path; what tells the file's name from the others' ("Q2_K" is not "Q2_K_L", "F16" not "BF16"); a whole word
// of a path; any part of one. Empty: the best known quantisation. Errors: kNotFound; kInvalid, naming the
// candidates where it may be several, or the part that is missing. An index of weights comes first.
[[nodiscard]] Result<std::vector<HubFile>> choose_files(const std::vector<HubFile>& files,
                                                        const std::string& wanted);

}  // namespace folio::hub
