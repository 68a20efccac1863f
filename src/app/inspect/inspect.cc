#include "app/inspect/inspect.h"

#include <algorithm>
#include <filesystem>

#include "app/defaults.h"
#include "app/inspect/print.h"
#include "app/inspect/report.h"

namespace folio::app {
namespace {

using Json = nlohmann::ordered_json;

// The path to look at; empty: only the machine. Without MODEL the default model is shown if it is there.
Result<std::string> choose_model(const InspectOptions& options) {
  const auto is_cpu = [](const std::string& section) { return section == "cpu"; };
  const bool cpu_only = !options.sections.empty() && std::ranges::all_of(options.sections, is_cpu);
  std::error_code ignored;
  if (options.model.empty() &&
      (cpu_only || (options.sections.empty() && !std::filesystem::exists(default_model_path(), ignored))))
    return std::string();
  return resolve_model(options.model);
}

Result<Json> make_report(const InspectOptions& options) {
  FOLIO_TRY(path, choose_model(options));
  Json report = Json::object();
  if (!path.empty()) {
    FOLIO_TRY(model, model_report(path, options));
    report = std::move(model);
  }
  if (options.sections.empty() || std::ranges::find(options.sections, "cpu") != options.sections.end())
    report["cpu"] = cpu_report();
  return report;
}

}  // namespace

ExitCode inspect_command(const InspectOptions& options, Console& console) {
  const auto report = make_report(options);
  if (!report) {
    console.error(report.error().message);
    return ExitCode::kError;
  }
  console.answer(options.format == InspectFormat::kJson
                     ? report->dump(2, ' ', false, Json::error_handler_t::replace) + "\n"
                     : print_report(*report));
  if (!console.failure()) return ExitCode::kOk;
  console.error(console.failure()->message);
  return ExitCode::kError;
}

}  // namespace folio::app
