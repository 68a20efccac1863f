// Paths of the small models committed with the tests.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace folio::test {

inline std::string fixture(std::string_view relative) {
  return (std::filesystem::path(__FILE__).parent_path().parent_path() / "fixtures" / relative).string();
}

}  // namespace folio::test
