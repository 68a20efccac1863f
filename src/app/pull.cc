#include "app/pull.h"

#include <cstdlib>
#include <filesystem>
#include <memory>

#include "app/defaults.h"
#include "app/progress_bar.h"
#include "hub/pull.h"
#include "hub/store.h"

namespace folio::app {
namespace {

std::string environment(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr || *value == 0 ? otherwise : value;
}

std::string megabytes(std::size_t bytes) {
  return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

hub::Store store() { return hub::Store(models_folder()); }

Status pull(const PullOptions& options, Console& console) {
  FOLIO_TRY(reference, hub::parse_reference(options.name));
  hub::PullRequest request{
      .reference = std::move(reference), .token = environment("HF_TOKEN", ""), .folder = models_folder()};
  request.endpoint = environment("HF_ENDPOINT", request.endpoint.c_str());
  while (request.endpoint.ends_with('/')) request.endpoint.pop_back();
  std::unique_ptr<ProgressBar> bar;
  std::string current;
  request.on_progress = [&](const std::string& file, std::size_t done, std::size_t whole) {
    if (file != current) {
      current = file;
      bar = std::make_unique<ProgressBar>(std::filesystem::path(file).filename().string());
    }
    if (whole > 0) bar->update(done, whole);
  };
  request.on_note = [&](const std::string& sentence) {
    bar.reset();
    current.clear();
    console.note(sentence);
  };
  FOLIO_TRY(pulled, hub::pull(request));
  bar.reset();
  console.answer(pulled.path + "\n");
  console.note(fmt::format("{} in {} file{}; start it with: folio run {}", megabytes(pulled.bytes),
                           pulled.files, pulled.files == 1 ? "" : "s", pulled.path));
  return {};
}

ExitCode exit_code(const Status& status, Console& console) {
  if (!status) console.error(status.error().message);
  if (status && console.failure()) console.error(console.failure()->message);
  return status && !console.failure() ? ExitCode::kOk : ExitCode::kError;
}

}  // namespace

ExitCode pull_command(const PullOptions& options, Console& console) {
  return exit_code(pull(options, console), console);
}

ExitCode list_command(Console& console) {
  const auto models = store().list();
  for (const hub::StoredModel& model : models)
    console.answer(fmt::format("{:>12}  {}\n", megabytes(model.bytes), model.name));
  if (models.empty())
    console.note(fmt::format("no models are stored in {}; download one with folio pull ORGANISATION/NAME", store().folder()));
  return exit_code({}, console);
}

ExitCode rm_command(const RmOptions& options, Console& console) {
  const auto found = store().find(options.name);
  if (!found) return exit_code(pass(found), console);
  const Status removed = store().remove(*found);
  if (removed) console.note(fmt::format("removed {} ({})", found->name, megabytes(found->bytes)));
  return exit_code(removed, console);
}

}  // namespace folio::app
