// The rows of `folio serve`: the engine's, and what only a server has.
#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "app/flag_kinds.h"
#include "app/serve/options.h"
#include "app/serve/vllm_spelling.h"
#include "app/shared_flags.h"

namespace folio::app {
namespace {

using Values = std::span<const std::string>;
using Rows = std::vector<Flag>;

constexpr std::size_t kMaxBytes = std::size_t{1} << 52;

// vLLM takes a JSON list; a plain text is a list of one.
Flag list_row(About about, std::vector<std::string>& target) {
  const std::string name = about.names;
  Flag flag = texts(std::move(about), target);
  flag.set = [name, &target](Values values) -> Status {
    target.clear();
    for (const std::string& value : values) {
      if (!value.starts_with('[')) {
        target.push_back(value);
        continue;
      }
      const auto json = nlohmann::json::parse(value, nullptr, false);
      if (!json.is_array() || !std::ranges::all_of(json, [](const auto& e) { return e.is_string(); }))
        return fail(ErrorKind::kInvalid, "{} takes a text or a JSON list of texts, not '{}'", name, value);
      for (const auto& entry : json) target.push_back(entry.template get<std::string>());
    }
    return {};
  };
  return flag;
}

// vLLM's JSON object; of it what embeddings need.
Status read_pooler_config(ServeOptions& options, const std::string& text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object())
    return fail(ErrorKind::kInvalid,
                "--pooler-config takes a JSON object, e.g. '{{\"pooling_type\": \"MEAN\"}}', not '{}'", text);
  for (const auto& [key, value] : json.items()) {
    if (value.is_null()) continue;
    const bool names_pooling = key == "pooling_type" || key == "seq_pooling_type";
    if (names_pooling && value.is_string()) {
      FOLIO_TRY(pooling, read_pooling("--pooler-config: " + key, value.get<std::string>()));
      options.pooling = pooling;
    } else if ((key == "normalize" || key == "use_activation") && value.is_boolean()) {
      options.normalize = value.get<bool>() ? api::Normalize::kYes : api::Normalize::kNo;
    } else {
      return fail(
          ErrorKind::kUnsupported,
          "--pooler-config: '{}' is not supported; it takes pooling_type (LAST or MEAN) and normalize "
          "(true or false)",
          key);
    }
  }
  return {};
}

Flag pooler_row(const std::string& group, ServeOptions& o) {
  return {.names = "--pooler-config",
          .takes = Takes::kJson,
          .type = "JSON",
          .help = "the same in vLLM's form: {\"pooling_type\": \"MEAN\", \"normalize\": false}",
          .group = group,
          .set = [&o](Values values) -> Status {
            FOLIO_TRY(json, merge_json("pooler-config", values));
            return read_pooler_config(o, json);
          }};
}

void add_model_rows(Rows& rows, ServeOptions& o) {
  const std::string group = "Model";
  rows.push_back(model_flag("--model,-m,MODEL", kDefaultModel, o.model));
  rows.push_back(
      texts({.names = "--served-model-name",
             .help = "model names that requests may use; responses carry the first (default: the file's "
                     "name)",
             .group = group,
             .type = "NAME..."},
            o.model_names, Takes::kValues));
  rows.push_back(text({.names = "--chat-template",
                       .help = "Jinja chat template to use instead of the model's",
                       .group = group,
                       .type = "FILE"},
                      o.chat_template_file));
  rows.push_back(text(
      {.names = "--generation-config",
       .help = "sampling values for requests that leave them out: the model's own, else temperature 0.8, "
               "top-k 40, top-p 0.95, min-p 0.05 in chats (auto, default); those of a directory's "
               "generation_config.json; or the API's own (vllm)",
       .group = group,
       .type = "auto|vllm|PATH"},
      o.generation_config));
  rows.push_back(count({.names = "--seed",
                        .help = "start of the series of seeds for requests that give none (default: random)",
                        .group = group},
                       {.last = std::size_t{1} << 52}, o.seed));
  rows.push_back(
      count_with({.names = "--max-logprobs",
                  .help = fmt::format("maximum number of most likely tokens that a request may ask for at "
                                      "each position (default {}; -1: the whole vocabulary)",
                                      api::kDefaultMaxLogprobs),
                  .group = group},
                 {.last = 1u << 30, .unset = {"-1"}}, [&o](std::optional<std::size_t> n) {
                   o.max_logprobs = n ? static_cast<std::uint32_t>(*n) : api::kAllLogprobs;
                 }));
  rows.push_back(pooling_flag(o.pooling));
  rows.push_back(pooler_row(group, o));
}

void add_cache_rows(Rows& rows, ServeOptions& o) {
  const std::string group = "KV cache";
  rows.push_back(count(
      {.names = "--kv-cache-memory-bytes",
       .help = "memory of all KV blocks together, e.g. 2G (default: 4G, or half of the available "
               "memory, or what fits beside the rest, whichever is least); no request can be longer than "
               "what it holds",
       .group = group},
      {.first = 1, .last = kMaxBytes}, o.kv_bytes));
  rows.push_back(count({.names = "--num-gpu-blocks-override",
                        .help = "number of KV blocks, instead of their memory",
                        .group = group},
                       {.first = 1, .last = 1u << 31}, o.kv_blocks));
  rows.push_back(toggle(
      {.names = "--verbose", .help = "print what the memory is for, line by line", .group = "Computing"},
      o.verbosity, Verbosity::kVerbose, Verbosity::kNormal));
  rows.push_back(toggle({.names = "--kv-cache-metrics",
                         .help = "measure how long cached blocks live and stay idle: vllm:kv_block_*_seconds",
                         .group = group},
                        o.kv_metrics, true, false));
  rows.push_back(
      real<double>({.names = "--kv-cache-metrics-sample",
                    .help = "share of the blocks that are measured, above 0 and at most 1 (default 0.01)",
                    .group = group,
                    .type = "SHARE"},
                   {0, 1, true}, o.kv_metrics_share));
}

void add_queue_rows(Rows& rows, ServeOptions& o) {
  rows.push_back(
      count({.names = "--max-num-queued-reqs",
             .help = fmt::format("maximum number of waiting requests; more are answered with 429 (default "
                                 "{})",
                                 engine::kMaxSequences),
             .group = "Scheduling"},
            {.first = 1, .last = engine::kMaxSequences}, o.max_queued_requests));
}

void add_network_rows(Rows& rows, ServeOptions& o) {
  const std::string group = "Network";
  rows.push_back(
      text({.names = "--host",
            .help = "address to listen on (default 127.0.0.1: this machine only; 0.0.0.0: all networks)",
            .group = group,
            .type = "ADDRESS"},
           o.http.host));
  rows.push_back(
      count({.names = "--port", .help = "port to listen on (default 8000; 0: any free port)", .group = group},
            {.last = std::numeric_limits<std::uint16_t>::max()}, o.http.port));
  rows.push_back(text({.names = "--uds",
                       .help = "Unix socket to listen on, instead of host and port",
                       .group = group,
                       .type = "PATH"},
                      o.http.unix_socket));
  rows.push_back(
      texts({.names = "--api-key",
             .help = "key that clients must send; may be given several times (default: none is needed)",
             .group = group,
             .type = "KEY"},
            o.gate.api_keys));
  rows.push_back(toggle({.names = "--isolate-api-keys",
                         .help = "requests with different keys never share cached blocks",
                         .group = group},
                        o.tenants, server::Tenants::kByKey, server::Tenants::kShared));
  rows.push_back(
      list_row({.names = "--allowed-origins",
                .help = "web origins that may call the API (CORS): an origin, or a JSON list of them, "
                        "* for all (default: this machine's where only it can connect and no key is "
                        "needed, else all)",
                .group = group,
                .type = "ORIGIN"},
               o.gate.allowed_origins));
  rows.push_back(
      list_row({.names = "--allowed-hosts",
                .help = "host names besides localhost that requests may be for, where only this machine "
                        "can connect and no key is needed: a name, or a JSON list of them, * for all",
                .group = group,
                .type = "NAME"},
               o.gate.allowed_hosts));
}

void add_response_rows(Rows& rows, ServeOptions& o) {
  const std::string group = "Responses";
  rows.push_back(toggle({.names = "--enable-request-id-headers",
                         .help = "X-Request-Id in every response (default on)",
                         .group = group},
                        o.request_ids, server::RequestIds::kShow, server::RequestIds::kHide));
  rows.push_back(toggle({.names = "--enable-prompt-tokens-details",
                         .help = "cached_tokens in usage (default on)",
                         .group = group},
                        o.cached_tokens, api::CachedTokens::kShow, api::CachedTokens::kHide));
  rows.push_back(count({.names = "--stream-interval",
                        .help = "number of tokens per event of a stream, after the first (default 1)",
                        .group = group},
                       {.first = 1, .last = 1024}, o.stream_interval));
  rows.push_back(toggle({.names = "--strict-max-tokens",
                         .help = "refuse a max_tokens beyond the rest of the context, instead of lowering it",
                         .group = group},
                        o.strictness.long_answers, api::LongAnswers::kRefuse, api::LongAnswers::kClamp));
  rows.push_back(toggle({.names = "--strict-fields",
                         .help = "refuse fields that folio does not know, instead of ignoring them",
                         .group = group},
                        o.strictness.unknown_fields, api::UnknownFields::kRefuse,
                        api::UnknownFields::kIgnore));
  rows.push_back(toggle({.names = "--enable-tokenizer-info-endpoint",
                         .help = "add GET /tokenizer_info: control tokens and chat template",
                         .group = group},
                        o.tokenizer_info, server::TokenizerInfo::kShow, server::TokenizerInfo::kHide));
  rows.push_back(
      toggle({.names = "--dev-mode",
              .help = "add /reset_prefix_cache, for development (VLLM_SERVER_DEV_MODE=1 does the same)",
              .group = group},
             o.mode, server::Mode::kDevelopment, server::Mode::kNormal));
}

void add_tls_rows(Rows& rows, server::TlsFiles& tls) {
  const std::string group = "TLS";
  rows.push_back(text({.names = "--ssl-certfile",
                       .help = "PEM certificate of the server, followed by its chain: speak TLS (https)",
                       .group = group,
                       .type = "FILE"},
                      tls.certificate));
  rows.push_back(text({.names = "--ssl-keyfile",
                       .help = "PEM private key without a passphrase (default: in --ssl-certfile)",
                       .group = group,
                       .type = "FILE"},
                      tls.key));
  rows.push_back(text({.names = "--ssl-ca-certs",
                       .help = "PEM certificates of the authorities that sign client certificates; needs "
                               "--ssl-cert-reqs",
                       .group = group,
                       .type = "FILE"},
                      tls.authorities));
  using enum server::ClientCertificates;
  rows.push_back(choice<server::ClientCertificates>(
      {.names = "--ssl-cert-reqs",
       .help = "client certificates: not requested (0, default), verified if one is sent (1), required (2)",
       .group = group},
      {{"0", kIgnore}, {"1", kVerify}, {"2", kRequire}}, tls.clients));
}

void add_limit_rows(Rows& rows, server::HttpOptions& http) {
  const std::string group = "Limits";
  rows.push_back(count({.names = "--max-connections",
                        .help = "maximum number of open connections (default 1024)",
                        .group = group},
                       {.first = 1, .last = 65536}, http.limits.connections));
  rows.push_back(count({.names = "--max-connections-per-address",
                        .help = "maximum number of them from one address (default 512)",
                        .group = group},
                       {.first = 1, .last = 65536}, http.limits.connections_per_address));
  rows.push_back(
      count({.names = "--max-all-request-bytes",
             .help = "maximum size of the bodies of all requests under way together, each beyond its "
                     "first 64K (default 64M)",
             .group = group},
            {.first = 1024, .last = std::size_t{1} << 40}, http.limits.all_bodies_bytes));
  rows.push_back(count({.names = "--max-request-bytes",
                        .help = "maximum size of a request's body (default 16M)",
                        .group = group},
                       {.first = 1024, .last = std::size_t{1} << 30}, http.limits.body_bytes));
  rows.push_back(count({.names = "--h11-max-incomplete-event-size,--max-header-bytes",
                        .help = "maximum size of a request's header (default 64K)",
                        .group = group},
                       {.first = 1024, .last = std::size_t{1} << 24}, http.limits.header_bytes));
  const auto seconds = [&](std::string names, std::string help, double& target) {
    rows.push_back(real<double>(
        {.names = std::move(names), .help = std::move(help), .group = group, .type = "S"},
        {.first = 0, .last = 1e6, .excludes_first = true, .what = "a number of seconds"}, target));
  };
  seconds("--request-timeout",
          "maximum time from the first byte of a request to its last, in seconds (default 30)",
          http.limits.request_s);
  seconds("--idle-timeout",
          "maximum time that a connection stays open without a request, in seconds (default 75)",
          http.limits.idle_s);
  seconds("--stall-timeout",
          "maximum time that a client may read nothing of its response, in seconds (default 60)",
          http.limits.stall_s);
}

std::string footer() {
  return fmt::format(
      "Examples:\n"
      "  folio serve                                      the default model at http://127.0.0.1:8000/v1\n"
      "  folio serve Llama-3.2-1B-Instruct-Q4_K_M.gguf --port 8001 --kv-cache-memory-bytes 8G\n"
      "  folio serve --config folio.yaml --api-key \"$KEY\"\n\n"
      "Limits without a flag: JSON has at most {} levels and {} keys; a request has at most {} prompts, {} "
      "answers\n"
      "to each, and {} stop texts.\n\n"
      "Ctrl-C or SIGTERM lets running requests finish and accepts no new ones; a second one exits at once. "
      "vLLM's "
      "flags\n"
      "for GPUs are accepted with a warning. docs/serving.md describes the API.",
      api::kMaxJsonDepth, api::kMaxJsonKeys, api::kMaxPrompts, engine::kMaxChoices, api::kMaxStopTexts);
}

}  // namespace

Command describe_serve(ServeOptions& options) {
  Rows rows;
  add_model_rows(rows, options);
  for (Flag& row : engine_flags(Verb::kServe, options.engine)) rows.push_back(std::move(row));
  add_cache_rows(rows, options);
  add_queue_rows(rows, options);
  add_network_rows(rows, options);
  add_response_rows(rows, options);
  add_tls_rows(rows, options.http.tls);
  add_limit_rows(rows, options.http);
  rows.push_back(
      {.names = "--config",
       .takes = Takes::kValue,
       .type = "FILE",
       .help = "YAML file with flags as keys, e.g. 'port: 8001'; environment variables (FOLIO_PORT=8001) "
               "and flags override it",
       .group = "Configuration",
       .set = [](Values) -> Status { return {}; }});  // read before all others
  for (Flag& row : foreign_flags(options)) rows.push_back(std::move(row));
  return {.name = "serve",
          .help = "answer requests of OpenAI's API over HTTP",
          .flags = std::move(rows),
          .footer = footer()};
}

}  // namespace folio::app
