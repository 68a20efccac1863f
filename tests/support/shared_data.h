// Where tests find the large reference data that are not part of the repository.
//
//   const auto path = find_shared("data/reference/dequant");
//   if (path.empty()) FOLIO_SKIP_OR_FAIL("data/reference/dequant");
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

namespace folio::test {

// The folder that holds the data: $FOLIO_SHARED, else `../shared` beside the source tree; empty if there is
// none.
inline std::string shared_root() {
  if (const char* named = std::getenv("FOLIO_SHARED"); named != nullptr && *named != '\0') return named;
  std::error_code ignored;
  const auto source = std::filesystem::path(__FILE__).parent_path().parent_path().parent_path();
  const auto beside = source.parent_path() / "shared";
  return std::filesystem::is_directory(beside, ignored) ? beside.string() : std::string();
}

// Data that someone promised (by setting the variable) and that are not there are a failure, not a skip.
inline bool shared_is_required() {
  const char* named = std::getenv("FOLIO_SHARED");
  return named != nullptr && *named != '\0';
}

// Full path of a file or folder of the shared data; empty if it is not there.
inline std::string find_shared(std::string_view relative) {
  const std::string root = shared_root();
  if (root.empty()) return {};
  std::error_code ignored;
  const auto path = std::filesystem::path(root) / relative;
  return std::filesystem::exists(path, ignored) ? path.string() : std::string();
}

}  // namespace folio::test

// Ends the test: fails where $FOLIO_SHARED is set, else skips. Both name what is missing.
#define FOLIO_SKIP_OR_FAIL(relative)                                                                       \
  do {                                                                                                     \
    if (::folio::test::shared_is_required())                                                               \
      FAIL() << "FOLIO_SHARED is set to " << ::folio::test::shared_root() << " but has no " << (relative); \
    GTEST_SKIP() << (relative) << " of the shared data is not here; set FOLIO_SHARED to run this";         \
  } while (false)
