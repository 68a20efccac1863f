#include "app/chat/prompt_input.h"

#include "platform/file.h"
#include "platform/terminal.h"
#include "text/utf8.h"

namespace folio::app {
namespace {

struct Source {
  std::string text;
  std::string name;
};

Result<std::optional<Source>> read_source(const RunOptions& options) {
  if (options.prompt) return Source{*options.prompt, "--prompt"};
  const bool from_input =
      options.prompt_file ? *options.prompt_file == "-" : !platform::is_terminal(platform::Stream::kInput);
  if (!from_input && !options.prompt_file) return std::nullopt;
  const std::string name = from_input ? "standard input" : *options.prompt_file;
  FOLIO_TRY(text, from_input ? platform::read_standard_input(kMaxPromptBytes)
                             : platform::read_file(name, kMaxPromptBytes));
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
  return Source{std::move(text), name};
}

}  // namespace

Status check_utf8(std::string_view text, std::string_view what) {
  const auto bad = text::first_invalid_utf8(text);
  if (!bad) return {};
  return fail(ErrorKind::kInvalid,
              "{} is not valid UTF-8: byte {} is 0x{:02X}; convert it, for instance with iconv", what, *bad,
              static_cast<unsigned char>(text[*bad]));
}

Result<std::optional<std::string>> read_prompt(const RunOptions& options) {
  if (options.system) FOLIO_TRY_STATUS(check_utf8(*options.system, "--system"));
  for (const std::string& stop : options.stop) FOLIO_TRY_STATUS(check_utf8(stop, "--stop"));
  FOLIO_TRY(source, read_source(options));
  const bool raw = options.templating == Templating::kRaw;
  if (!source) {
    if (raw)
      return fail(ErrorKind::kInvalid, "--raw continues a prompt: give one with -p, -f or on standard input");
    return std::nullopt;
  }
  FOLIO_TRY_STATUS(check_utf8(source->text, source->name));
  if (source->text.empty() && !raw)
    return fail(ErrorKind::kInvalid, "the prompt from {} is empty; give a text with -p", source->name);
  return std::move(source->text);
}

}  // namespace folio::app
