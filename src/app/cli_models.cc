// `folio pull | list | rm` on the command line.
#include <CLI/CLI.hpp>

#include "app/cli_flags.h"

namespace folio::app {
namespace {

void add_name(CLI::App* app, std::string& target, const std::string& help) {
  app->add_option("MODEL", target, help)->type_name("NAME");
}

}  // namespace

void define_pull(CLI::App* app, PullOptions& pull) {
  add_name(app, pull.name,
           "ORGANISATION/NAME, with :FILE or :Q4_K_M behind it if you like, or the URL of a file");
  app->footer(
      "Examples:\n"
      "  folio pull bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M\n"
      "  folio pull hf://HuggingFaceTB/SmolLM2-135M-Instruct\n"
      "  folio run bartowski/Llama-3.2-1B-Instruct-GGUF\n\n"
      "What was cut goes on where it ended; every file is checked against the hash that the hub says. "
      "Environment:\n"
      "HF_TOKEN for models behind a licence, HF_ENDPOINT for a mirror, FOLIO_HOME for the folder.");
}

void define_list(CLI::App* app) { app->footer("Example:\n  folio list"); }

void define_rm(CLI::App* app, RmOptions& rm) {
  add_name(app, rm.name, "a model as folio list shows it");
  app->footer("Example:\n  folio rm bartowski/Llama-3.2-1B-Instruct-GGUF");
}

}  // namespace folio::app
