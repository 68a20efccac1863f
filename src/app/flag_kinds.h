// The kinds of flags that the commands are made of. Internal to the command line's *_flags.cc: includes the
// CLI library, whose header is slow to compile.
#pragma once

#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "app/count.h"
#include "app/nearest.h"

namespace folio::app {

// Ends the parse with this sentence.
[[noreturn]] inline void refuse(const std::string& sentence) { throw CLI::ValidationError(sentence); }

// The flag as the user knows it: its first long name.
inline std::string long_name(const std::string& names) {
  const std::size_t start = names.find("--");
  return names.substr(start, names.find(',', start) - start);
}

template <typename T>
struct Range {
  T first, last;
  std::string text;  // "a whole number from 1 to 256", "a number above 0 and at most 1"
  bool excludes_first = false;

  bool holds(T value) const {
    return (excludes_first ? value > first : value >= first) && value <= last;  // false for NaN
  }
};

template <typename T>
Range<T> from_to(T first, T last,
                 std::string_view what = std::is_integral_v<T> ? "a whole number" : "a number") {
  return {first, last, fmt::format("{} from {} to {}", what, first, last)};
}

template <typename T>
void add_number(CLI::App* app, const std::string& names, Range<T> range, std::function<void(T)> set,
                const std::string& help, const std::string& group) {
  const auto parse = [flag = long_name(names), range = std::move(range),
                      set = std::move(set)](const std::string& text) {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !range.holds(value))
      refuse(fmt::format("{} takes {}, not '{}'", flag, range.text, text));
    set(value);
  };
  app->add_option_function<std::string>(names, parse, help)
      ->type_name("N")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast)
      ->group(group);
}

// `choices` as "a|b|c", which --help and completion show too.
inline void add_choice(CLI::App* app, const std::string& names, const std::string& choices,
                       std::function<void(const std::string&)> set, const std::string& help,
                       const std::string& group) {
  const auto check = [flag = long_name(names), choices, set = std::move(set)](const std::string& text) {
    const std::vector<std::string> known = CLI::detail::split(choices, '|');
    if (std::ranges::find(known, text) == known.end())
      refuse(fmt::format("{} takes one of {}, not '{}'{}", flag, fmt::join(known, ", "), text,
                         did_you_mean(text, known)));
    set(text);
  };
  app->add_option_function<std::string>(names, check, help)
      ->type_name(choices)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast)
      ->group(group);
}

template <typename T>
void add_text(CLI::App* app, const std::string& names, T& target, const std::string& type,
              const std::string& help, const std::string& group) {
  app->add_option_function<std::string>(
         names, [&target](const std::string& text) { target = text; }, help)
      ->type_name(type)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast)
      ->group(group);
}

inline void add_switch(CLI::App* app, const std::string& names, std::function<void()> set,
                       const std::string& help, const std::string& group) {
  app->add_flag_callback(names, std::move(set), help)->disable_flag_override()->group(group);
}

inline void add_memory(CLI::App* app, std::size_t& target, const std::string& group) {
  const auto set = [&target](const std::string& text) {
    const auto bytes = parse_count("memory", text);
    if (!bytes) refuse(bytes.error().message);
    if (*bytes == 0) refuse("--memory takes a size above 0, e.g. 8G, not '" + text + "'");
    target = *bytes;
  };
  app->add_option_function<std::string>("--memory", set, kMemoryHelp)
      ->type_name("N")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast)
      ->group(group);
}

inline void add_model(CLI::App* app, std::string& target, const std::string& otherwise) {
  app->add_option("-m,--model,MODEL", target,
                  "a GGUF file or a Hugging Face directory;\nwithout it: " + otherwise)
      ->type_name("PATH")
      ->multi_option_policy(CLI::MultiOptionPolicy::Throw)
      ->group("Model");
}

}  // namespace folio::app
