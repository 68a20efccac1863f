// The kinds of rows that the tables of flags are made of: each reads its value, holds it against its bounds
// and refuses it in one sentence. Every target outlives the row.
#pragma once

#include <charconv>
#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/flag.h"

namespace folio::app {

// What a row says in words; see Flag.
struct About {
  std::string names, help, group;
  std::string type = {};
};

// A row without set(); `type` where `about` has none.
[[nodiscard]] Flag row(About about, Takes takes, std::string_view type = {});

// "4096", "1k" = 1000, "1K" = 1024, "25.6k"; also m, g, t. Errors: anything else, and with a suffix fractions
// of one, 9e15 and more.
[[nodiscard]] Result<std::size_t> parse_count(std::string_view flag, std::string_view text);

struct CountRange {
  std::size_t first = 0, last = 0;
  std::size_t multiple_of = 1;
  std::vector<std::string> unset = {};  // words that mean no number: "-1", "auto"
  std::string text = {};                // of errors, where the bounds do not say it all
};

// A whole number as parse_count() reads it; nullopt for a word of `unset`.
[[nodiscard]] Flag count_with(About about, CountRange range,
                              std::function<void(std::optional<std::size_t>)> set);

// The same into a number, where a word of `unset` is 0, or into an optional one.
template <typename T>
[[nodiscard]] Flag count(About about, CountRange range, T& target) {
  return count_with(std::move(about), std::move(range), [&target](std::optional<std::size_t> n) {
    if constexpr (requires { target.reset(); }) {
      if (n)
        target = static_cast<typename T::value_type>(*n);
      else
        target.reset();
    } else {
      target = static_cast<T>(n.value_or(0));
    }
  });
}

template <std::floating_point T>
struct RealRange {
  T first, last;
  bool excludes_first = false;
  std::string what = "a number";
  bool holds(T value) const {
    return (excludes_first ? value > first : value >= first) && value <= last;  // false for NaN
  }
  std::string text() const {
    return excludes_first ? fmt::format("{} above {} and at most {}", what, first, last)
                          : fmt::format("{} from {} to {}", what, first, last);
  }
};

// `Target` is T or std::optional<T>.
template <std::floating_point T, typename Target>
[[nodiscard]] Flag real(About about, RealRange<T> range, Target& target) {
  Flag flag = row(std::move(about), Takes::kValue, "N");
  flag.set = [name = std::string(flag.name()), range,
              &target](std::span<const std::string> values) -> Status {
    const std::string& text = values.back();
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !range.holds(value))
      return fail(ErrorKind::kInvalid, "--{} takes {}, not '{}'", name, range.text(), text);
    target = value;
    return {};
  };
  return flag;
}

// Any text; the last counts. `T` is a string or an optional one.
template <typename T>
[[nodiscard]] Flag text(About about, T& target) {
  Flag flag = row(std::move(about), Takes::kValue);
  flag.set = [&target](std::span<const std::string> values) -> Status {
    target = values.back();
    return {};
  };
  return flag;
}

// Texts that are not empty, all of which count.
[[nodiscard]] Flag texts(About about, std::vector<std::string>& target, Takes takes = Takes::kValue);

template <typename T>
struct Choice {
  std::string name;
  T value;
  std::string other_name = {};  // accepted, and not in --help
};

// Which of these names is given. `names` and `other_names` are as long as each other.
[[nodiscard]] Flag choice_of(About about, std::vector<std::string> names,
                             std::vector<std::string> other_names, std::function<void(std::size_t)> set);

template <typename T>
[[nodiscard]] Flag choice(About about, std::vector<Choice<T>> choices, T& target) {
  std::vector<std::string> names, other_names;
  for (const Choice<T>& each : choices) {
    names.push_back(each.name);
    other_names.push_back(each.other_name);
  }
  return choice_of(std::move(about), std::move(names), std::move(other_names),
                   [choices = std::move(choices), &target](std::size_t i) { target = choices[i].value; });
}

[[nodiscard]] Flag switch_with(About about, std::function<void(bool)> set);

template <typename T>
[[nodiscard]] Flag toggle(About about, T& target, T on, T off) {
  return switch_with(std::move(about), [&target, on, off](bool is_on) { target = is_on ? on : off; });
}

// Is there or not. `set` may refuse.
[[nodiscard]] Flag mark(About about, std::function<Status()> set);

inline constexpr std::size_t kMaxListed = 64;

// `one` with one value or several, commas between them: `one` reads each, and `take` fetches what it has
// read.
[[nodiscard]] Flag listed(Flag one, std::function<void()> clear, std::function<void()> take);

// The same into a vector; `make(T&)` is the row that reads one.
template <typename T, typename Make>
[[nodiscard]] Flag list_of(std::vector<T>& target, Make make) {
  const auto one = std::make_shared<T>();
  return listed(make(*one), [&target] { target.clear(); }, [&target, one] { target.push_back(*one); });
}

}  // namespace folio::app
