#include "app/flag.h"

#include <algorithm>

#include "app/nearest.h"

namespace folio::app {
namespace {

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t end = std::min(text.find(separator, start), text.size());
    parts.emplace_back(text.substr(start, end - start));
    start = end + 1;
  }
  return parts;
}

}  // namespace

std::string_view Flag::name() const {
  const std::string_view all = names;
  const std::size_t dashes = all.find("--");
  if (dashes == std::string_view::npos) return all;
  return all.substr(dashes + 2, all.find(',', dashes) - dashes - 2);
}

std::vector<std::string> Flag::spellings() const {
  std::vector<std::string> typed = split(names, ',');
  std::erase_if(typed, [](const std::string& name) { return !name.starts_with('-'); });
  std::ranges::stable_partition(typed, [](const std::string& name) { return !name.starts_with("--"); });
  return typed;
}

bool Flag::is_called(std::string_view long_name) const {
  const std::string typed = fmt::format("--{}", long_name);
  return std::ranges::any_of(spellings(), [&](const std::string& name) { return name == typed; });
}

bool Flag::is_argument() const {
  return std::ranges::any_of(split(names, ','),
                             [](const std::string& name) { return !name.starts_with('-'); });
}

std::vector<std::string> Flag::choices() const {
  return type.find('|') == std::string::npos ? std::vector<std::string>() : split(type, '|');
}

std::string opposite(std::string_view name) {
  return name.starts_with("no-") ? std::string(name.substr(3)) : fmt::format("no-{}", name);
}

Status apply_flags(const Command& command, const Assignments& assignments, std::string_view source) {
  std::vector<std::string> known, done;
  for (const Flag& flag : command.flags) known.push_back(fmt::format("--{}", flag.name()));
  for (const auto& [name, first] : assignments) {
    if (std::ranges::find(done, name) != done.end()) continue;
    done.push_back(name);
    const auto flag = std::ranges::find_if(command.flags, [&](const Flag& f) { return f.name() == name; });
    if (flag == command.flags.end())
      return fail(ErrorKind::kInvalid, "{}'{}' is no flag of folio {}{}", source, name, command.name,
                  did_you_mean("--" + name, known));
    std::vector<std::string> values;
    for (const auto& [other, value] : assignments)
      if (other == name) values.push_back(value);
    if (auto set = flag->set(values); !set)
      return fail(set.error().kind, "{}{}", source, set.error().message);
  }
  return {};
}

}  // namespace folio::app
