// vLLM's flags that folio serve knows and does not do: one line each.
#include "app/serve_options.h"

namespace folio::app {
namespace {

enum class Treatment {
  kWarn,    // means nothing on a CPU, or is gone from vLLM too: accepted with one warning
  kRefuse,  // would change answers or what is stored
  kOn,      // is always so: true is accepted
  kOnly,    // `accepted` is
};
enum class Takes { kValue, kNothing };

struct Foreign {
  std::string_view name;
  Takes takes;
  Treatment treatment;
  std::string_view why;
  std::string_view accepted = "1";
};

constexpr Foreign kForeign[] = {
    // Of GPUs, and gone.
    {"gpu-memory-utilization", Takes::kValue, Treatment::kWarn,
     "there is no GPU; --kv-cache-memory-bytes sizes the cache"},
    {"swap-space", Takes::kValue, Treatment::kWarn, "vLLM has removed it"},
    {"preemption-mode", Takes::kValue, Treatment::kWarn, "vLLM has removed it"},
    {"max-num-partial-prefills", Takes::kValue, Treatment::kWarn, "vLLM has removed it"},
    {"max-long-partial-prefills", Takes::kValue, Treatment::kWarn, "vLLM has removed it"},
    {"calculate-kv-scales", Takes::kNothing, Treatment::kWarn, "vLLM has removed it"},
    {"num-scheduler-steps", Takes::kValue, Treatment::kWarn, "vLLM has removed it"},
    {"device", Takes::kValue, Treatment::kWarn, "folio runs on CPUs"},
    {"use-v2-block-manager", Takes::kNothing, Treatment::kWarn, "vLLM has removed it"},
    {"num-lookahead-slots", Takes::kValue, Treatment::kWarn, "vLLM has removed it"},
    {"max-seq-len-to-capture", Takes::kValue, Treatment::kWarn, "vLLM has removed it"},
    {"enforce-eager", Takes::kNothing, Treatment::kWarn, "there are no CUDA graphs"},
    {"disable-custom-all-reduce", Takes::kNothing, Treatment::kWarn, "there is no GPU"},
    {"disable-cascade-attn", Takes::kNothing, Treatment::kWarn, "there is no cascade attention"},
    {"cpu-offload-gb", Takes::kValue, Treatment::kWarn, "weights are in this memory anyway"},
    {"offload-backend", Takes::kValue, Treatment::kWarn, "weights are in this memory anyway"},
    {"cpu-offload-params", Takes::kValue, Treatment::kWarn, "weights are in this memory anyway"},
    {"dtype", Takes::kValue, Treatment::kWarn,
     "folio computes with the weights as they are stored; see --weights"},
    {"load-format", Takes::kValue, Treatment::kWarn, "folio sees what a file is"},
    {"trust-remote-code", Takes::kNothing, Treatment::kWarn, "folio runs no code of models"},
    {"async-scheduling", Takes::kNothing, Treatment::kWarn, "steps are planned in microseconds"},
    {"runner", Takes::kValue, Treatment::kWarn, "one server gives answers and embeddings"},
    {"convert", Takes::kValue, Treatment::kWarn, "one server gives answers and embeddings"},
    {"disable-log-requests", Takes::kNothing, Treatment::kWarn, "folio logs no requests"},
    {"uvicorn-log-level", Takes::kValue, Treatment::kWarn, "there is no uvicorn"},

    {"disable-log-stats", Takes::kNothing, Treatment::kWarn, "folio logs no statistics; see /metrics"},
    {"disable-hybrid-kv-cache-manager", Takes::kNothing, Treatment::kWarn,
     "all layers keep the same history"},
    {"disable-chunked-mm-input", Takes::kNothing, Treatment::kWarn, "folio serves text models only"},
    {"show-hidden-metrics-for-version", Takes::kValue, Treatment::kWarn,
     "older names of metrics are always there"},

    // Always so.
    {"enable-prefix-caching", Takes::kNothing, Treatment::kOn,
     "prefixes are always cached; cache_salt in a request isolates it"},
    {"tensor-parallel-size", Takes::kValue, Treatment::kOnly,
     "several machines or processes are not supported yet"},
    {"pipeline-parallel-size", Takes::kValue, Treatment::kOnly,
     "several machines or processes are not supported yet"},
    {"data-parallel-size", Takes::kValue, Treatment::kOnly,
     "several machines or processes are not supported yet"},

    {"decode-context-parallel-size", Takes::kValue, Treatment::kOnly,
     "several machines or processes are not supported yet"},

    // Not yet.
    {"kv-cache-dtype-skip-layers", Takes::kValue, Treatment::kRefuse, "all layers store the same type"},
    {"kv-offloading-backend", Takes::kValue, Treatment::kRefuse, "not supported yet"},
    {"kv-sharing-fast-prefill", Takes::kNothing, Treatment::kRefuse, "not supported yet"},
    {"prefix-match-unit", Takes::kValue, Treatment::kRefuse,
     "prefixes match token by token already; leave it out"},
    {"prefix-cache-retention-interval", Takes::kValue, Treatment::kRefuse, "not supported yet"},
    {"max-num-scheduled-tokens", Takes::kValue, Treatment::kRefuse,
     "not supported; --max-num-batched-tokens is the limit of a step"},
    {"max-num-queued-tokens", Takes::kValue, Treatment::kRefuse,
     "not supported yet; --max-num-queued-reqs bounds the queue"},
    {"scheduler-reserve-full-isl", Takes::kNothing, Treatment::kRefuse, "not supported yet"},
    {"watermark", Takes::kValue, Treatment::kRefuse, "not supported yet"},
    {"prefill-schedule-interval", Takes::kValue, Treatment::kRefuse,
     "not supported; --step-budget-ms bounds what prompts take of a step"},
    {"disable-sliding-window", Takes::kNothing, Treatment::kRefuse, "not supported yet"},
    {"mamba-cache-mode", Takes::kValue, Treatment::kRefuse, "recurrent models are not supported yet"},
    {"mamba-block-size", Takes::kValue, Treatment::kRefuse, "recurrent models are not supported yet"},
    {"mamba-cache-dtype", Takes::kValue, Treatment::kRefuse, "recurrent models are not supported yet"},
    {"mamba-ssm-cache-dtype", Takes::kValue, Treatment::kRefuse, "recurrent models are not supported yet"},
    {"use-replayssm", Takes::kNothing, Treatment::kRefuse, "recurrent models are not supported yet"},
    {"replayssm-buffer-len", Takes::kValue, Treatment::kRefuse, "recurrent models are not supported yet"},
    {"spec-method", Takes::kValue, Treatment::kRefuse, "not supported yet"},
    {"spec-model", Takes::kValue, Treatment::kRefuse, "not supported yet"},
    {"spec-tokens", Takes::kValue, Treatment::kRefuse, "not supported yet"},
    {"logprobs-mode", Takes::kValue, Treatment::kOnly,
     "log-probabilities are those of the model, before any sampling field (raw_logprobs)", "raw_logprobs"},
    {"quantization", Takes::kValue, Treatment::kRefuse,
     "not known; --weights q8_0 or q4_0 turns wider weights while loading"},
    {"kv-offloading-size", Takes::kValue, Treatment::kRefuse, "not supported yet"},
    {"kv-transfer-config", Takes::kValue, Treatment::kRefuse, "not supported yet"},
    {"kv-events-config", Takes::kValue, Treatment::kRefuse, "not supported yet"},
    {"prefix-caching-hash-algo", Takes::kValue, Treatment::kRefuse, "not supported yet"},
    {"speculative-config", Takes::kValue, Treatment::kRefuse, "not supported yet"},
    {"structured-outputs-config", Takes::kValue, Treatment::kRefuse, "not supported yet"},
    {"reasoning-parser", Takes::kValue, Treatment::kRefuse, "not supported yet"},
    {"tool-call-parser", Takes::kValue, Treatment::kRefuse, "not supported yet"},
    {"enable-auto-tool-choice", Takes::kNothing, Treatment::kRefuse, "not supported yet"},
    {"enable-lora", Takes::kNothing, Treatment::kRefuse, "not supported yet"},
    {"otlp-traces-endpoint", Takes::kValue, Treatment::kRefuse, "not supported yet"},
    {"enable-ssl-refresh", Takes::kNothing, Treatment::kRefuse,
     "certificates are read once; start folio serve again when they change"},
    {"ssl-ciphers", Takes::kValue, Treatment::kRefuse, "TLS 1.2 and 1.3 are spoken with OpenSSL's own list"},
};

Status treat(const Foreign& flag, const std::string& value, ServeOptions& options) {
  switch (flag.treatment) {
    case Treatment::kWarn:
      options.warnings.push_back(fmt::format("--{} changes nothing: {}", flag.name, flag.why));
      return {};
    case Treatment::kOn:
      if (value == "true") return {};
      break;
    case Treatment::kOnly:
      if (value == flag.accepted) return {};
      break;
    case Treatment::kRefuse:
      break;
  }
  return fail(ErrorKind::kUnsupported, "--{}{} is refused: {}", value == "false" ? "no-" : "", flag.name,
              flag.why);
}

}  // namespace

std::vector<ServeFlag> foreign_flags(ServeOptions& options) {
  std::vector<ServeFlag> flags;
  for (const Foreign& flag : kForeign)
    flags.push_back({flag.name, flag.name == "tensor-parallel-size" ? ",--tp" : "",
                     flag.takes == Takes::kValue ? "VALUE" : "", std::string(flag.why), "",
                     [&options, &flag](std::span<const std::string> values) {
                       return treat(flag, values.back(), options);
                     }});
  return flags;
}

}  // namespace folio::app
