// Digest: SHA-256 of bytes that come in pieces, or git's name of a file (SHA-1 over a head and the file).
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace folio::hub {

class Digest {
 public:
  enum class Kind { kSha256, kGitBlob };
  // `bytes`: the file's size, which kGitBlob begins with.
  Digest(Kind kind, std::size_t bytes);
  ~Digest();
  void add(std::string_view piece);
  [[nodiscard]] std::string hex();  // once, at the end

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace folio::hub
