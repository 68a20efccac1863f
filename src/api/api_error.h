// ApiError: what a client is told instead of an answer, as the OpenAI API spells it. Its status is HTTP's
// number; nothing else here knows HTTP.
#pragma once

#include <fmt/format.h>

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace folio::api {

struct ApiError {
  int status = 400;
  std::string message;  // one sentence
  std::string param;    // the field at fault; empty: none
  std::string code;     // "model_not_found"; empty: none
  int retry_after_s = 0;
  std::string allowed = {};  // "GET, POST": of a 405
};

inline constexpr int kRetryAfterS = 2;  // where all places are taken

template <typename T>
using Checked = std::expected<T, ApiError>;

// return refuse("the body is empty");
template <typename... Args>
[[nodiscard]] std::unexpected<ApiError> refuse(fmt::format_string<Args...> format, Args&&... args) {
  return std::unexpected(ApiError{.message = fmt::format(format, std::forward<Args>(args)...)});
}
// return refuse_field("temperature", "takes a number from 0 to 2, not {}", shown);  The name begins the
// sentence.
template <typename... Args>
[[nodiscard]] std::unexpected<ApiError> refuse_field(std::string_view field,
                                                     fmt::format_string<Args...> format, Args&&... args) {
  return std::unexpected(
      ApiError{.message = fmt::format("'{}' {}", field, fmt::format(format, std::forward<Args>(args)...)),
               .param = std::string(field)});
}

// Whose clients read the error.
enum class ErrorShape {
  kOpenAi,     // {"error": {"message", "type", "param", "code"}}
  kAnthropic,  // {"type": "error", "error": {"type", "message"}}
  kOllama,     // {"error": "message"}
};
// That of the API to which a path belongs, whether or not it is there.
[[nodiscard]] ErrorShape shape_of(std::string_view path);
[[nodiscard]] std::string error_body(const ApiError& error, ErrorShape shape = ErrorShape::kOpenAi);

}  // namespace folio::api

// FOLIO_TRY and FOLIO_TRY_STATUS (base/result.h) for Checked.
#define FOLIO_ASK(name, expression)                                               \
  auto name##_checked = (expression);                                             \
  if (!name##_checked) return std::unexpected(std::move(name##_checked).error()); \
  auto name = std::move(*name##_checked)
#define FOLIO_ASK_STATUS(expression) \
  if (auto checked_ = (expression); !checked_) return std::unexpected(std::move(checked_).error())
