#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "app/count.h"
#include "app/serve/options.h"
#include "kv/kv_geometry.h"
#include "model/model_config.h"

namespace folio::app {
namespace {

using Values = std::span<const std::string>;
using Set = std::function<Status(Values)>;

struct CountRange {
  std::size_t first, last;
};

Set count_to(std::string flag, CountRange range, std::function<void(std::size_t)> set) {
  return [flag = std::move(flag), range, set = std::move(set)](Values values) -> Status {
    FOLIO_TRY(count, parse_count(flag, values.back()));
    if (count < range.first || count > range.last)
      return fail(ErrorKind::kInvalid, "--{} takes a number from {} to {}, not '{}'", flag, range.first,
                  range.last, values.back());
    set(count);
    return {};
  };
}

Set seconds_to(std::string flag, double& target) {
  return [flag = std::move(flag), &target](Values values) -> Status {
    const std::string& text = values.back();
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !(value > 0 && value <= 1e6))
      return fail(ErrorKind::kInvalid, "--{} takes a number of seconds above 0 and at most 1000000, not '{}'",
                  flag, text);
    target = value;
    return {};
  };
}

// Above 0 and at most 1.
Result<double> parse_share(std::string_view flag, const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value > 0 && value <= 1))
    return fail(ErrorKind::kInvalid, "--{} takes a number above 0 and at most 1, not '{}'", flag, text);
  return value;
}

Set switch_to(std::string flag, std::function<void(bool)> set) {
  return [flag = std::move(flag), set = std::move(set)](Values values) -> Status {
    const std::string& text = values.back();
    const bool on = text == "true" || text == "1", off = text == "false" || text == "0";
    if (!on && !off) return fail(ErrorKind::kInvalid, "--{} is true or false, not '{}'", flag, text);
    set(on);
    return {};
  };
}

Set text_to(std::string& target) {
  return [&target](Values values) -> Status {
    target = values.back();
    return {};
  };
}

Set texts_to(std::string flag, std::vector<std::string>& target) {
  return [flag = std::move(flag), &target](Values values) -> Status {
    for (const std::string& value : values)
      if (value.empty()) return fail(ErrorKind::kInvalid, "--{} takes a text that is not empty", flag);
    target.assign(values.begin(), values.end());
    return {};
  };
}

// One of "a|b|c".
Set choice_to(std::string flag, std::string choices, std::function<void(const std::string&)> set) {
  return
      [flag = std::move(flag), choices = std::move(choices), set = std::move(set)](Values values) -> Status {
        const std::string& text = values.back();
        const std::string all = "|" + choices + "|";
        if (text.empty() || text.find('|') != std::string::npos ||
            all.find("|" + text + "|") == std::string::npos)
          return fail(ErrorKind::kInvalid, "--{} takes one of {}, not '{}'", flag, choices, text);
        set(text);
        return {};
      };
}

// vLLM takes a JSON list; a plain text is a list of one.
Set list_to(std::string flag, std::vector<std::string>& target) {
  return [flag = std::move(flag), &target](Values values) -> Status {
    target.clear();
    for (const std::string& value : values) {
      if (!value.starts_with('[')) {
        target.push_back(value);
        continue;
      }
      const auto json = nlohmann::json::parse(value, nullptr, false);
      if (!json.is_array() || !std::ranges::all_of(json, [](const auto& e) { return e.is_string(); }))
        return fail(ErrorKind::kInvalid, "--{} takes a text or a JSON list of texts, not '{}'", flag, value);
      for (const auto& entry : json) target.push_back(entry.template get<std::string>());
    }
    return {};
  };
}

Status read_pooling(ServeOptions& options, std::string_view flag, std::string name) {
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
  if (name != "last" && name != "mean")
    return fail(ErrorKind::kUnsupported, "--{} takes last or mean, not '{}'", flag, name);
  options.pooling = name == "mean" ? engine::Pooling::kMean : engine::Pooling::kLast;
  return {};
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
      FOLIO_TRY_STATUS(read_pooling(options, "pooler-config: " + key, value.get<std::string>()));
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

void add_model_flags(std::vector<ServeFlag>& flags, ServeOptions& o) {
  const std::string group = "Model";
  flags.push_back(
      {"model", ",-m,MODEL", "PATH",
       "a GGUF file or a Hugging Face directory;\nwithout it: SmolLM2-135M-Instruct, which ./dev run fetches",
       group, text_to(o.model)});
  flags.push_back({"served-model-name", "", "NAME...",
                   "the names that requests give, of which answers say the first\n(default: the file's)",
                   group, texts_to("served-model-name", o.model_names)});
  flags.push_back({"chat-template", "", "FILE", "a Jinja template instead of the model's", group,
                   text_to(o.chat_template_file)});
  flags.push_back(
      {"generation-config", "", "auto|vllm|PATH",
       "sampling values of requests that leave them out: the model's own, else temperature 0.8, "
       "top-k 40,\ntop-p 0.95, min-p 0.05 in chats (auto); a folder's generation_config.json; or the "
       "API's (vllm)",
       group, text_to(o.generation_config)});
  flags.push_back({"seed", "", "N", "where the seeds of requests without one begin (default: drawn)", group,
                   count_to("seed", {0, std::size_t{1} << 52}, [&o](std::size_t n) { o.seed = n; })});
  const auto logprobs = [&o](Values values) -> Status {
    o.max_logprobs = api::kAllLogprobs;
    if (values.back() == "-1") return {};
    return count_to("max-logprobs", {0, 1u << 30},
                    [&o](std::size_t n) { o.max_logprobs = static_cast<std::uint32_t>(n); })(values);
  };
  flags.push_back(
      {"max-logprobs", "", "N",
       "how many of the most likely tokens a request may ask for at a position\n(default 20; -1: all)", group,
       logprobs});
  flags.push_back(
      {"pooling-type", "", "last|mean",
       "what /v1/embeddings gives: the hidden state of the last token (default),\nor the mean of all", group,
       [&o](Values values) { return read_pooling(o, "pooling-type", values.back()); }});
  flags.push_back({"pooler-config", "", "JSON",
                   "the same as vLLM says it: {\"pooling_type\": \"MEAN\", \"normalize\": false}", group,
                   [&o](Values values) { return read_pooler_config(o, values.back()); }});
  flags.push_back({"weights", "", "as-stored|q8_0|q4_0",
                   "turn wider weights into this type while loading (default as-stored)", group,
                   choice_to("weights", "as-stored|q8_0|q4_0", [&o](const std::string& name) {
                     o.engine.quantize = name == "q8_0"   ? std::optional(kernels::TensorType::kQ8_0)
                                         : name == "q4_0" ? std::optional(kernels::TensorType::kQ4_0)
                                                          : std::nullopt;
                   })});
}

void add_kv_flags(std::vector<ServeFlag>& flags, ServeOptions& o) {
  const std::string group = "KV cache";
  const auto context = [&o](Values values) -> Status {
    if (values.back() == "auto" || values.back() == "-1") {
      o.engine.context_tokens = 0;
      return {};
    }
    return count_to("max-model-len", {0, model::kMaxContext},
                    [&o](std::size_t n) { o.engine.context_tokens = n; })(values);
  };
  flags.push_back({"max-model-len", ",-c,--ctx-size", "N",
                   "longest prompt and answer together, in tokens\n(default auto: the model's, or what fits)",
                   group, context});
  flags.push_back({"kv-cache-memory-bytes", "", "N",
                   "memory of all KV blocks, e.g. 2G (default: 4G, or half of what is free, and what\nfits "
                   "beside the rest); "
                   "no request is longer than what it holds",
                   group, count_to("kv-cache-memory-bytes", {1, std::size_t{1} << 52}, [&o](std::size_t n) {
                     o.kv_bytes = n;
                   })});
  flags.push_back(
      {"num-gpu-blocks-override", "", "N", "the number of KV blocks, instead of their memory", group,
       count_to("num-gpu-blocks-override", {1, 1u << 31}, [&o](std::size_t n) { o.kv_blocks = n; })});
  flags.push_back({"block-size", "", "N", "tokens in one block, a multiple of 16 from 16 to 256 (default 16)",
                   group, [&o](Values values) -> Status {
                     FOLIO_TRY(n, parse_count("block-size", values.back()));
                     if (n % 16 != 0 || n < 16 || n > kv::kMaxBlockTokens)
                       return fail(ErrorKind::kInvalid,
                                   "--block-size takes a multiple of 16 from 16 to 256, not '{}'",
                                   values.back());
                     o.engine.block_tokens = static_cast<std::uint32_t>(n);
                     return {};
                   }});
  flags.push_back(
      {"kv-cache-dtype", "", "auto|f32|f16|bf16",
       "type of the numbers in the cache (default auto: f16, or f32\nwhere only the plain C++ kernels run)",
       group, [&o](Values values) -> Status {
         const std::string& given = values.back();
         const std::string name = given == "float16"    ? "f16"
                                  : given == "bfloat16" ? "bf16"
                                  : given == "float32"  ? "f32"
                                                        : given;
         o.engine.kv_type = kernels::kv_type_from_name(name);
         if (o.engine.kv_type || name == "auto") return {};
         return fail(ErrorKind::kUnsupported,
                     "--kv-cache-dtype takes auto, f32, f16 or bf16; '{}' is not supported yet", given);
       }});
}

void add_kv_metrics_flags(std::vector<ServeFlag>& flags, ServeOptions& o) {
  const std::string group = "KV cache";
  flags.push_back({"kv-cache-metrics", "", "",
                   "measure how long cached blocks stay and are idle: vllm:kv_block_*_seconds", group,
                   switch_to("kv-cache-metrics", [&o](bool on) { o.kv_metrics = on; })});
  flags.push_back({"kv-cache-metrics-sample", "", "SHARE", "of so many of the blocks, up to 1 (default 0.01)",
                   group, [&o](Values values) -> Status {
                     FOLIO_TRY(share, parse_share("kv-cache-metrics-sample", values.back()));
                     o.kv_metrics_share = share;
                     return {};
                   }});
}

void add_step_flags(std::vector<ServeFlag>& flags, ServeOptions& o) {
  const std::string group = "Scheduling and computing";
  flags.push_back(
      {"max-num-batched-tokens", "", "N", "tokens computed in one step at most (default 512)", group,
       count_to("max-num-batched-tokens", {1, 8192}, [&o](std::size_t n) { o.engine.step_tokens = n; })});
  flags.push_back(
      {"verbose", "", "", "print what the memory is for, line by line", group,
       switch_to("verbose", [&o](bool on) { o.verbosity = on ? Verbosity::kVerbose : Verbosity::kNormal; })});
  flags.push_back({"max-num-seqs", "", "N", "sequences computed at the same time (default 64)", group,
                   count_to("max-num-seqs", {1, 1024}, [&o](std::size_t n) { o.engine.max_num_seqs = n; })});
  flags.push_back({"long-prefill-token-threshold", "", "N",
                   "tokens of one prompt in one step at most; 0: as many as fit (default)", group,
                   count_to("long-prefill-token-threshold", {0, 8192},
                            [&o](std::size_t n) { o.engine.long_prefill_token_threshold = n; })});
  flags.push_back({"enable-chunked-prefill", "", "",
                   "a prompt may take several steps, beside others' tokens (default on)", group,
                   switch_to("enable-chunked-prefill", [&o](bool on) {
                     o.engine.chunked_prefill =
                         on ? scheduler::ChunkedPrefill::kOn : scheduler::ChunkedPrefill::kOff;
                   })});
  flags.push_back({"scheduling-policy", "", "fcfs|priority",
                   "first come first served (default), or by the requests' field priority", group,
                   choice_to("scheduling-policy", "fcfs|priority", [&o](const std::string& name) {
                     o.engine.policy =
                         name == "priority" ? scheduler::Policy::kPriority : scheduler::Policy::kFcfs;
                   })});
  flags.push_back({"step-budget-ms", "", "N",
                   "predicted time of a step in which prompts are computed beside others' tokens;\n0: no "
                   "limit (default 250)",
                   group, count_to("step-budget-ms", {0, 1'000'000}, [&o](std::size_t n) {
                     o.engine.step_budget_ms = static_cast<double>(n);
                   })});
  flags.push_back({"fair-api-keys", "", "",
                   "every key gets its share of the steps, however many requests it has", group,
                   switch_to("fair-api-keys", [&o](bool on) {
                     o.engine.fairness = on ? scheduler::Fairness::kTenants : scheduler::Fairness::kNone;
                   })});
  flags.push_back(
      {"max-num-queued-reqs", "", "N", "requests that may wait for room; more get 429 (default 1024)", group,
       count_to("max-num-queued-reqs", {1, 1024}, [&o](std::size_t n) { o.max_queued_requests = n; })});
  flags.push_back(
      {"threads", ",-t", "N", "default 0: as many as affinity and cgroup allow", group,
       count_to("threads", {0, 256}, [&o](std::size_t n) { o.engine.threads = static_cast<int>(n); })});
  flags.push_back(
      {"memory", "", "N", kMemoryHelp, group,
       count_to("memory", {1, std::size_t{1} << 52}, [&o](std::size_t n) { o.engine.memory_bytes = n; })});
  flags.push_back(
      {"activations", "", "mixed|int16|f32",
       "what is multiplied with quantised weights (default mixed: int8, and\n16 bits where a row's "
       "values stand out; int16 is the most exact and\ndoubles the work of a prompt; f32 is slow); mixed "
       "rounds what\nmeets bf16 weights to bf16",
       group, choice_to("activations", "mixed|int16|f32", [&o](const std::string& name) {
         o.engine.arithmetic = kernels::arithmetic_of(name).value_or(o.engine.arithmetic);
       })});
}

void add_http_flags(std::vector<ServeFlag>& flags, ServeOptions& o) {
  const std::string group = "Network";
  flags.push_back({"host", "", "ADDRESS", "default 127.0.0.1: this machine only; 0.0.0.0: every network",
                   group, text_to(o.http.host)});
  flags.push_back(
      {"port", "", "N", "default 8000; 0: any that is free", group,
       count_to("port", {0, 65535}, [&o](std::size_t n) { o.http.port = static_cast<std::uint16_t>(n); })});
  flags.push_back(
      {"uds", "", "PATH", "listen on this Unix socket instead", group, text_to(o.http.unix_socket)});
  flags.push_back({"api-key", "", "KEY",
                   "what clients must send; may be given several times (default: nothing)", group,
                   texts_to("api-key", o.gate.api_keys)});
  flags.push_back({"isolate-api-keys", "", "", "requests of different keys never share cached blocks", group,
                   switch_to("isolate-api-keys", [&o](bool on) {
                     o.tenants = on ? server::Tenants::kByKey : server::Tenants::kShared;
                   })});
  flags.push_back({"allowed-origins", "", "ORIGIN",
                   "web pages that may ask: an origin, or a JSON list of them, * for all (default:\nthis machine's "
                   "where only it can connect and there is no key, else all)",
                   group, list_to("allowed-origins", o.gate.allowed_origins)});
  flags.push_back({"allowed-hosts", "", "NAME",
                   "names besides localhost that requests may be for, where only this machine\ncan connect and "
                   "there is no key: one, or a JSON list of them, * for all",
                   group, list_to("allowed-hosts", o.gate.allowed_hosts)});
  flags.push_back({"enable-request-id-headers", "", "", "X-Request-Id in every answer (default on)", group,
                   switch_to("enable-request-id-headers", [&o](bool on) {
                     o.request_ids = on ? server::RequestIds::kShow : server::RequestIds::kHide;
                   })});
  flags.push_back({"enable-prompt-tokens-details", "", "", "cached_tokens in usage (default on)", group,
                   switch_to("enable-prompt-tokens-details", [&o](bool on) {
                     o.cached_tokens = on ? api::CachedTokens::kShow : api::CachedTokens::kHide;
                   })});
  flags.push_back({"stream-interval", "", "N", "tokens of a stream in one event, after the first (default 1)",
                   group,
                   count_to("stream-interval", {1, 1024}, [&o](std::size_t n) { o.stream_interval = n; })});
  flags.push_back({"strict-max-tokens", "", "",
                   "refuse a max_tokens beyond the rest of the context, instead of lowering it", group,
                   switch_to("strict-max-tokens", [&o](bool on) {
                     o.strictness.long_answers = on ? api::LongAnswers::kRefuse : api::LongAnswers::kClamp;
                   })});
  flags.push_back(
      {"strict-fields", "", "", "refuse fields that folio does not know, instead of ignoring them", group,
       switch_to("strict-fields", [&o](bool on) {
         o.strictness.unknown_fields = on ? api::UnknownFields::kRefuse : api::UnknownFields::kIgnore;
       })});
  flags.push_back({"enable-tokenizer-info-endpoint", "", "",
                   "GET /tokenizer_info: control tokens and template", group,
                   switch_to("enable-tokenizer-info-endpoint", [&o](bool on) {
                     o.tokenizer_info = on ? server::TokenizerInfo::kShow : server::TokenizerInfo::kHide;
                   })});
  flags.push_back({"dev-mode", "", "", "/reset_prefix_cache, for development; VLLM_SERVER_DEV_MODE=1 too",
                   group, switch_to("dev-mode", [&o](bool on) {
                     o.mode = on ? server::Mode::kDevelopment : server::Mode::kNormal;
                   })});

  flags.push_back({"ssl-certfile", "", "FILE",
                   "speak TLS (https) with this certificate: PEM, the chain behind it", group,
                   text_to(o.http.tls.certificate)});
  flags.push_back({"ssl-keyfile", "", "FILE",
                   "its private key: PEM, without a passphrase (default: in --ssl-certfile)", group,
                   text_to(o.http.tls.key)});
  flags.push_back({"ssl-ca-certs", "", "FILE", "who signs clients' certificates; needs --ssl-cert-reqs",
                   group, text_to(o.http.tls.authorities)});
  flags.push_back({"ssl-cert-reqs", "", "0|1|2",
                   "certificates of clients: not asked for (0, default), verified where\nthere is one (1), "
                   "demanded (2)",
                   group, choice_to("ssl-cert-reqs", "0|1|2", [&o](const std::string& number) {
                     using enum server::ClientCertificates;
                     o.http.tls.clients = number == "0" ? kIgnore : number == "1" ? kVerify : kRequire;
                   })});

  const std::string limits = "Limits";
  flags.push_back(
      {"max-connections", "", "N", "open at the same time (default 1024)", limits,
       count_to("max-connections", {1, 65536}, [&o](std::size_t n) { o.http.limits.connections = n; })});
  flags.push_back({"max-connections-per-address", "", "N", "of them from one address (default 512)", limits,
                   count_to("max-connections-per-address", {1, 65536},
                            [&o](std::size_t n) { o.http.limits.connections_per_address = n; })});
  flags.push_back({"max-request-bytes", "", "N", "body of a request (default 16M)", limits,
                   count_to("max-request-bytes", {1024, std::size_t{1} << 30},
                            [&o](std::size_t n) { o.http.limits.body_bytes = n; })});
  flags.push_back({"max-all-request-bytes", "", "N",
                   "bodies of all requests under way together, each beyond its first 64K\n(default 64M)", limits,
                   count_to("max-all-request-bytes", {1024, std::size_t{1} << 40},
                            [&o](std::size_t n) { o.http.limits.all_bodies_bytes = n; })});
  flags.push_back({"h11-max-incomplete-event-size", ",--max-header-bytes", "N",
                   "header of a request (default 64K)", limits,
                   count_to("max-header-bytes", {1024, std::size_t{1} << 24},
                            [&o](std::size_t n) { o.http.limits.header_bytes = n; })});
  flags.push_back({"request-timeout", "", "S", "from a request's first byte to its last (default 30)", limits,
                   seconds_to("request-timeout", o.http.limits.request_s)});
  flags.push_back({"idle-timeout", "", "S", "a connection without a request (default 75)", limits,
                   seconds_to("idle-timeout", o.http.limits.idle_s)});
  flags.push_back({"stall-timeout", "", "S", "a client that takes nothing of its answer (default 60)", limits,
                   seconds_to("stall-timeout", o.http.limits.stall_s)});
}

}  // namespace

std::vector<ServeFlag> serve_flags(ServeOptions& options) {
  std::vector<ServeFlag> flags;
  add_model_flags(flags, options);
  add_kv_flags(flags, options);
  add_kv_metrics_flags(flags, options);
  add_step_flags(flags, options);
  add_http_flags(flags, options);
  flags.push_back(
      {"config", "", "FILE",
       "YAML with flags as keys, e.g. 'port: 8001'; the environment\n(FOLIO_PORT=8001) and flags win over it",
       "Configuration", [](Values) -> Status { return {}; }});
  for (ServeFlag& flag : foreign_flags(options)) flags.push_back(std::move(flag));
  return flags;
}

}  // namespace folio::app
