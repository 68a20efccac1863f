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
           "ORGANISATION/NAME, ORGANISATION/NAME:FILE (or :Q4_K_M), or the URL of a file");
  app->footer(
      "Examples:\n"
      "  folio pull bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M\n"
      "  folio pull hf://HuggingFaceTB/SmolLM2-135M-Instruct\n"
      "  folio run bartowski/Llama-3.2-1B-Instruct-GGUF\n\n"
      "A download that breaks off is resumed, and every file's hash is verified. Environment variables:\n"
      "  HF_TOKEN                token for gated models, sent to the hub only\n"
      "  HF_ENDPOINT             a mirror of the hub\n"
      "  HTTPS_PROXY, NO_PROXY   as curl reads them; SSL_CERT_FILE: the authorities to trust\n"
      "  FOLIO_HOME              models are stored in $FOLIO_HOME/models (default ~/.cache/folio/models)");
}

void define_list(CLI::App* app) { app->footer("Example:\n  folio list"); }

void define_rm(CLI::App* app, RmOptions& rm) {
  add_name(app, rm.name, "a model, as folio list prints it");
  app->footer("Example:\n  folio rm bartowski/Llama-3.2-1B-Instruct-GGUF");
}

}  // namespace folio::app
