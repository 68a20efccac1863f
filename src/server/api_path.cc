#include "server/api_path.h"

#include <algorithm>
#include <array>

namespace folio::server {
namespace {

constexpr std::string_view kVersion = "/v1";
constexpr std::string_view kAzureDeployments = "/openai/deployments/";
constexpr std::string_view kAzureVersion = "/openai/v1/";
constexpr std::array<std::string_view, 4> kWithoutVersion = {"/chat/completions", "/completions",
                                                             "/embeddings", "/models"};

bool is_or_begins(std::string_view path, std::string_view with) {
  return path.starts_with(with) && (path.size() == with.size() || path[with.size()] == '/');
}

}  // namespace

std::string api_path(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  if (path.starts_with(kAzureVersion)) return std::string(path.substr(kAzureVersion.size() - 4));
  if (path.starts_with(kAzureDeployments)) {
    const std::size_t name_end = path.find('/', kAzureDeployments.size());
    if (name_end == std::string_view::npos || name_end == kAzureDeployments.size()) return std::string(path);
    path.remove_prefix(name_end);
  }
  const bool bare =
      std::ranges::any_of(kWithoutVersion, [&](std::string_view known) { return is_or_begins(path, known); });
  return bare ? std::string(kVersion) + std::string(path) : std::string(path);
}

}  // namespace folio::server
