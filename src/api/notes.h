// What a client is told of its request besides the answer: what was ignored, and what was lowered.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/json.h"

namespace folio::api {

enum class UnknownFields { kIgnore, kRefuse };
enum class LongAnswers { kClamp, kRefuse };  // a max_tokens beyond what the context leaves

struct Strictness {
  UnknownFields unknown_fields = UnknownFields::kIgnore;
  LongAnswers long_answers = LongAnswers::kClamp;
};

struct Notes {
  static constexpr std::size_t kMostNames = 16;
  static constexpr std::size_t kMostBytes = 512;  // of all names, with what stands between them

  std::vector<std::string> ignored;       // fields, each once, in printable ASCII; the first kMostNames
  std::optional<std::size_t> max_tokens;  // as lowered

  // Notes a field that was ignored; list indices in it are left out ("messages[].id").
  void ignore(std::string_view field);
  bool empty() const { return ignored.empty() && !max_tokens; }

  // Values of the headers x-folio-ignored and x-folio-clamped; empty: no such header.
  std::string ignored_header() const;  // "mirostat, messages[].id"
  std::string clamped_header() const;  // "max_tokens=7602"
  // {"ignored": [...], "max_tokens": 7602}: where there are no headers.
  Json to_json() const;
};

}  // namespace folio::api
