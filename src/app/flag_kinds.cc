#include "app/flag_kinds.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "app/nearest.h"

namespace folio::app {
namespace {

using Values = std::span<const std::string>;

std::string text_of(const CountRange& range) {
  if (!range.text.empty()) return range.text;
  const std::string what =
      range.multiple_of == 1 ? "whole number" : fmt::format("multiple of {}", range.multiple_of);
  return fmt::format("a {} from {} to {}", what, range.first, range.last);
}

// The digits of a whole number that 64 bits hold.
std::optional<std::size_t> whole(std::string_view text) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

// What a suffix multiplies with; nullopt: no suffix of ours.
std::optional<double> unit_of(std::string_view suffix) {
  constexpr std::string_view kDecimal = "kmgt", kBinary = "KMGT";
  if (suffix.size() != 1) return std::nullopt;
  if (const std::size_t small = kDecimal.find(suffix[0]); small != std::string_view::npos)
    return std::pow(1000.0, small + 1);
  if (const std::size_t large = kBinary.find(suffix[0]); large != std::string_view::npos)
    return std::pow(1024.0, large + 1);
  return std::nullopt;
}

}  // namespace

Flag row(About about, Takes takes, std::string_view type) {
  return {.names = std::move(about.names),
          .takes = takes,
          .type = about.type.empty() ? std::string(type) : std::move(about.type),
          .help = std::move(about.help),
          .group = std::move(about.group),
          .set = {}};
}

Result<std::size_t> parse_count(std::string_view flag, std::string_view text) {
  if (const auto value = whole(text)) return *value;
  double value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  const auto unit = unit_of({end, static_cast<std::size_t>(text.data() + text.size() - end)});
  const double count = value * unit.value_or(1);
  if (error != std::errc() || !unit || !(count >= 0 && count < 9e15))
    return fail(ErrorKind::kInvalid,
                "--{} takes a whole number, with k, m, g (thousands) or K, M, G (1024s) behind it if you "
                "like, not '{}'",
                flag, text);
  return static_cast<std::size_t>(count + 0.5);
}

Flag count_with(About about, CountRange range, std::function<void(std::optional<std::size_t>)> set) {
  Flag flag = row(std::move(about), Takes::kValue, "N");
  flag.set = [name = std::string(flag.name()), range = std::move(range),
              set = std::move(set)](Values values) -> Status {
    const std::string& text = values.back();
    if (std::ranges::find(range.unset, text) != range.unset.end()) {
      set(std::nullopt);
      return {};
    }
    const auto n = parse_count(name, text);
    if (!n || *n < range.first || *n > range.last || *n % range.multiple_of != 0)
      return fail(ErrorKind::kInvalid, "--{} takes {}, not '{}'", name, text_of(range), text);
    set(*n);
    return {};
  };
  return flag;
}

Flag texts(About about, std::vector<std::string>& target, Takes takes) {
  Flag flag = row(std::move(about), takes);
  flag.set = [name = std::string(flag.name()), &target](Values values) -> Status {
    for (const std::string& value : values)
      if (value.empty()) return fail(ErrorKind::kInvalid, "--{} takes a text that is not empty", name);
    target.assign(values.begin(), values.end());
    return {};
  };
  return flag;
}

Flag choice_of(About about, std::vector<std::string> names, std::vector<std::string> other_names,
               std::function<void(std::size_t)> set) {
  about.type = fmt::format("{}", fmt::join(names, "|"));
  Flag flag = row(std::move(about), Takes::kValue);
  flag.set = [flag = std::string(flag.name()), names = std::move(names), other_names = std::move(other_names),
              set = std::move(set)](Values values) -> Status {
    const std::string& text = values.back();
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (text.empty() || (names[i] != text && other_names[i] != text)) continue;
      set(i);
      return {};
    }
    return fail(ErrorKind::kInvalid, "--{} takes one of {}, not '{}'{}", flag, fmt::join(names, ", "), text,
                did_you_mean(text, names));
  };
  return flag;
}

Flag switch_with(About about, std::function<void(bool)> set) {
  Flag flag = row(std::move(about), Takes::kNothing);
  flag.set = [name = std::string(flag.name()), set = std::move(set)](Values values) -> Status {
    const std::string& text = values.back();
    const bool on = text == "true" || text == "1", off = text == "false" || text == "0";
    if (!on && !off) return fail(ErrorKind::kInvalid, "--{} is true or false, not '{}'", name, text);
    set(on);
    return {};
  };
  return flag;
}

Flag mark(About about, std::function<Status()> set) {
  Flag flag = row(std::move(about), Takes::kMark);
  flag.set = [set = std::move(set)](Values) { return set(); };
  return flag;
}

Flag listed(Flag one, std::function<void()> clear, std::function<void()> take) {
  one.set = [name = std::string(one.name()), read = std::move(one.set), clear = std::move(clear),
             take = std::move(take)](Values values) -> Status {
    const std::string& text = values.back();
    const auto items = static_cast<std::size_t>(std::ranges::count(text, ',')) + 1;
    if (items > kMaxListed)
      return fail(ErrorKind::kInvalid, "--{} takes at most {} values, not {}", name, kMaxListed, items);
    clear();
    for (std::size_t start = 0; start <= text.size();) {
      const std::size_t comma = std::min(text.find(',', start), text.size());
      const std::string item = text.substr(start, comma - start);
      if (auto set = read(Values(&item, 1)); !set)
        return fail(set.error().kind, "{}; several values have commas between them", set.error().message);
      take();
      start = comma + 1;
    }
    return {};
  };
  return one;
}

}  // namespace folio::app
