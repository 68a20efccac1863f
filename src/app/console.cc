#include "app/console.h"

#include <cstdlib>
#include <tuple>

#include "platform/terminal.h"

namespace folio::app {
namespace {

bool wants_colour(platform::Stream stream) {
  const char* const off = std::getenv("NO_COLOR");
  const char* const terminal = std::getenv("TERM");
  return platform::is_terminal(stream) && (off == nullptr || *off == '\0') &&
         (terminal == nullptr || std::string_view(terminal) != "dumb");
}

}  // namespace

std::string without_controls(std::string_view text) {
  constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
  std::string safe;
  safe.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool c0 = (byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7f;
    // U+0080 to U+009F are C2 80 to C2 9F.
    const bool c1 = byte == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (c0 || c1)
      safe += kReplacement;
    else
      safe += text[i];
    if (c1) ++i;
  }
  return safe;
}

Console Console::standard_streams() {
  using platform::Stream;
  const bool output_is_terminal = platform::is_terminal(Stream::kOutput);
  return Console({.answer = [](std::string_view text) { return platform::write(Stream::kOutput, text); },
                  .note = [](std::string_view text) { return platform::write(Stream::kError, text); },
                  .note_style = wants_colour(Stream::kError) ? Style::kDim : Style::kPlain,
                  .controls = output_is_terminal ? Controls::kHide : Controls::kKeep});
}

void Console::answer(std::string_view text) {
  if (failure_) return;
  const auto done =
      options_.answer(options_.controls == Controls::kHide ? without_controls(text) : std::string(text));
  if (!done) failure_ = done.error();
}

void Console::note(std::string_view line) {
  const bool dim = options_.note_style == Style::kDim;
  print(fmt::format("{}{}{}\n", dim ? "\x1b[2m" : "", without_controls(line), dim ? "\x1b[0m" : ""));
}

void Console::print(std::string_view text) { std::ignore = options_.note(text); }

void Console::error(std::string_view sentence) { print(fmt::format("folio: {}\n", without_controls(sentence))); }

}  // namespace folio::app
