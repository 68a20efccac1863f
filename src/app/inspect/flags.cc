#include "app/inspect/flags.h"

#include <iterator>

#include "app/flag_kinds.h"
#include "app/shared_flags.h"

namespace folio::app {
namespace {

// Several sections: each value is one of kInspectSections.
Flag sections_row(std::vector<std::string>& sections) {
  std::vector<std::string> names(std::begin(kInspectSections), std::end(kInspectSections));
  std::vector<std::string> none(names.size());
  Flag flag = choice_of(
      {.names = "--only", .help = "print this section only; may be given several times", .group = "Output"},
      names, none, [&sections, names](std::size_t i) { sections.push_back(names[i]); });
  flag.set = [&sections, one = std::move(flag.set)](std::span<const std::string> values) -> Status {
    sections.clear();
    for (const std::string& value : values) FOLIO_TRY_STATUS(one(std::span(&value, 1)));
    return {};
  };
  return flag;
}

}  // namespace

Command describe_inspect(InspectOptions& inspect) {
  std::vector<Flag> rows = {
      model_flag("-m,--model,MODEL", "the default model if it is there, and this machine", inspect.model),
      toggle({.names = "--json", .help = "print everything as one JSON object", .group = "Output"},
             inspect.format, InspectFormat::kJson, InspectFormat::kText),
      sections_row(inspect.sections)};
  for (Flag& row : engine_flags(Verb::kInspect, inspect.engine)) {
    row.group = "KV cache whose size is shown";
    rows.push_back(std::move(row));
  }
  return {.name = "inspect",
          .help = "show what a model file holds and what this machine has",
          .flags = std::move(rows),
          .footer =
              "Examples:\n"
              "  folio inspect model.gguf\n"
              "  folio inspect model.gguf --only kv --kv-cache-dtype bf16 --ctx-size 32768\n"
              "  folio inspect model.gguf --json\n\n"
              "Only headers are read: a large file takes no longer than a small one."};
}

}  // namespace folio::app
