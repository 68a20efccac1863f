// What `folio serve` is asked for: by flags, environment and a file, in vLLM's names. Plain data and the
// rows that fill it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/prepare.h"
#include "api/request.h"
#include "api/response_text.h"
#include "app/flag.h"
#include "app/options.h"
#include "base/result.h"
#include "engine/options.h"
#include "engine/request.h"
#include "server/gate.h"
#include "server/http_server.h"
#include "server/service.h"

namespace folio::app {

struct ServeOptions {
  std::string model;                               // empty: the default model
  engine::EngineOptions engine;                    // but for its model and kv_size
  std::optional<std::size_t> kv_bytes, kv_blocks;  // one of them at most
  bool kv_metrics = false;
  double kv_metrics_share = 0.01;  // counts with kv_metrics only
  server::HttpOptions http;
  std::vector<std::string> model_names;  // empty: from the model's file
  server::GateOptions gate;
  std::string chat_template_file;          // empty: the model's
  std::string generation_config = "auto";  // "auto", "vllm" or a folder
  std::optional<std::uint64_t> seed;
  std::size_t max_queued_requests = engine::kMaxSequences;
  engine::Pooling pooling = engine::Pooling::kLast;  // of /v1/embeddings
  api::Normalize normalize = api::Normalize::kYes;
  std::uint32_t max_logprobs = api::kDefaultMaxLogprobs;  // or kAllLogprobs
  std::size_t stream_interval = 1;
  api::Strictness strictness;
  server::TokenizerInfo tokenizer_info = server::TokenizerInfo::kHide;
  Verbosity verbosity = Verbosity::kNormal;
  server::Mode mode = server::Mode::kNormal;
  server::Tenants tenants = server::Tenants::kShared;
  api::CachedTokens cached_tokens = api::CachedTokens::kShow;
  server::RequestIds request_ids = server::RequestIds::kShow;
  std::vector<std::string> warnings;  // to be said once
};

// The rows of `folio serve`; `options` outlives them. Each is `--name VALUE` on the command line, `name:
// value` in the file and FOLIO_NAME=value in the environment.
[[nodiscard]] Command describe_serve(ServeOptions& options);
// vLLM's flags that mean nothing on a CPU (accepted with a warning) or are not done yet (refused); part of
// the above, without a group.
[[nodiscard]] std::vector<Flag> foreign_flags(ServeOptions& options);

// The file (--config), then the environment, then the command line: later ones win. Errors: one sentence
// about the first value that is wrong.
[[nodiscard]] Result<ServeOptions> resolve_serve(const Assignments& command_line);

// Assignments of a YAML file. Errors: no file, no YAML, anything but scalars and lists of them.
[[nodiscard]] Result<Assignments> read_config_file(const std::string& path);

}  // namespace folio::app
