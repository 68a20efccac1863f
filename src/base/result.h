// Result<T>: a value or one Error. For what can go wrong outside our code: bad files, bad requests, failed
// I/O. The message is one sentence for a person, built once where the error is found, and names the file,
// flag or field and the fix. An expected "no" (no free block, a miss) is std::optional instead; a bug is
// FOLIO_CHECK.
#pragma once

#include <fmt/format.h>

#include <expected>
#include <string>
#include <utility>

namespace folio {

enum class ErrorKind {
  kInvalid,      // the input is malformed or contradicts itself
  kUnsupported,  // well-formed, but folio does not do it
  kNotFound,     // a file or name does not exist
  kTooLarge,     // beyond a named limit: context, memory, size
  kIo,           // the operating system refused or failed
  kCancelled,    // the user stopped it
};

struct Error {
  ErrorKind kind = ErrorKind::kInvalid;
  std::string message;
};

template <typename T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

// return fail(ErrorKind::kInvalid, "{}: header at byte {} is cut off", path, offset);
template <typename... Args>
[[nodiscard]] std::unexpected<Error> fail(ErrorKind kind, fmt::format_string<Args...> format,
                                          Args&&... args) {
  return std::unexpected(Error{kind, fmt::format(format, std::forward<Args>(args)...)});
}

// Passes an error of one Result type on as another: return pass(result);
template <typename R>
[[nodiscard]] std::unexpected<Error> pass(R&& result) {
  return std::unexpected(std::forward<R>(result).error());
}

}  // namespace folio

// Evaluates an expression of type Result<T>; on error returns it from the enclosing function, else declares
// `name`.
#define FOLIO_TRY(name, expression)                                   \
  auto name##_result = (expression);                                  \
  if (!name##_result) return ::folio::pass(std::move(name##_result)); \
  auto name = std::move(*name##_result)

// The same for Status, which has no value.
#define FOLIO_TRY_STATUS(expression) \
  if (auto status_ = (expression); !status_) return ::folio::pass(std::move(status_))
