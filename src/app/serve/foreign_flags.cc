// vLLM's flags that folio serve knows and does not do: one line each.
#include "app/serve/options.h"

namespace folio::app {
namespace {

enum class Treatment {
  kWarn,    // means nothing on a CPU, or is gone from vLLM too: accepted with one warning
  kRefuse,  // would change answers or what is stored; --no-x is accepted
  kOn,      // is always so: true is accepted
  kOnly,    // `accepted` is
};

struct Foreign {
  std::string_view name;
  Takes takes;
  Treatment treatment;
  std::string_view why;
  std::string_view accepted = "1";
};

constexpr std::string_view kNoGpu = "there is no GPU";
constexpr std::string_view kGone = "vLLM has removed it";
constexpr std::string_view kInMemory = "weights are in this memory anyway";
constexpr std::string_view kOneProcess =
    "folio serve is one process on one machine; start several behind a router instead";
constexpr std::string_view kNoState = "recurrent models are not supported yet; leave it out";
constexpr std::string_view kNoDraft = "speculative decoding is not supported yet; leave it out";
constexpr std::string_view kNoAdapters = "adapters are not supported yet; serve a merged model";
constexpr std::string_view kNoTools =
    "tools are not supported yet; leave it out, and 'tools' out of the requests";
constexpr std::string_view kTextOnly = "folio serves text models only";
constexpr std::string_view kNoTier =
    "blocks stay in this memory only; --kv-cache-memory-bytes says how many there are";
constexpr std::string_view kTheModel = "tokenizer and weights are those of the model's file";

constexpr Foreign kForeign[] = {
    // Of GPUs, and gone.
    {"gpu-memory-utilization", Takes::kValue, Treatment::kWarn,
     "there is no GPU; --kv-cache-memory-bytes sizes the cache"},
    {"swap-space", Takes::kValue, Treatment::kWarn, kGone},
    {"preemption-mode", Takes::kValue, Treatment::kWarn, kGone},
    {"max-num-partial-prefills", Takes::kValue, Treatment::kWarn, kGone},
    {"max-long-partial-prefills", Takes::kValue, Treatment::kWarn, kGone},
    {"calculate-kv-scales", Takes::kNothing, Treatment::kWarn, kGone},
    {"num-scheduler-steps", Takes::kValue, Treatment::kWarn, kGone},
    {"device", Takes::kValue, Treatment::kWarn, "folio runs on CPUs"},
    {"use-v2-block-manager", Takes::kNothing, Treatment::kWarn, kGone},
    {"num-lookahead-slots", Takes::kValue, Treatment::kWarn, kGone},
    {"max-seq-len-to-capture", Takes::kValue, Treatment::kWarn, kGone},
    {"scheduler-delay-factor", Takes::kValue, Treatment::kWarn, kGone},
    {"multi-step-stream-outputs", Takes::kNothing, Treatment::kWarn, kGone},
    {"guided-decoding-backend", Takes::kValue, Treatment::kWarn, kGone},
    {"task", Takes::kValue, Treatment::kWarn, "one server gives answers and embeddings"},
    {"enforce-eager", Takes::kNothing, Treatment::kWarn, "there are no CUDA graphs"},
    {"compilation-config", Takes::kJson, Treatment::kWarn, "folio compiles nothing"},
    {"optimization-level", Takes::kValue, Treatment::kWarn, "folio compiles nothing"},
    {"cudagraph-capture-sizes", Takes::kValue, Treatment::kWarn, "there are no CUDA graphs"},
    {"cuda-graph-sizes", Takes::kValue, Treatment::kWarn, "there are no CUDA graphs"},
    {"attention-backend", Takes::kValue, Treatment::kWarn,
     "folio chooses its kernels; FOLIO_ISA overrules it"},
    {"attention-config", Takes::kJson, Treatment::kWarn, "folio chooses its kernels; FOLIO_ISA overrules it"},
    {"kernel-config", Takes::kJson, Treatment::kWarn, "folio chooses its kernels; FOLIO_ISA overrules it"},
    {"disable-custom-all-reduce", Takes::kNothing, Treatment::kWarn, kNoGpu},
    {"disable-cascade-attn", Takes::kNothing, Treatment::kWarn, "there is no cascade attention"},
    {"cpu-offload-gb", Takes::kValue, Treatment::kWarn, kInMemory},
    {"offload-backend", Takes::kValue, Treatment::kWarn, kInMemory},
    {"cpu-offload-params", Takes::kValue, Treatment::kWarn, kInMemory},
    {"dtype", Takes::kValue, Treatment::kWarn,
     "folio computes with the weights as they are stored; see --weights"},
    {"load-format", Takes::kValue, Treatment::kWarn, "folio sees what a file is"},
    {"config-format", Takes::kValue, Treatment::kWarn, "folio sees what a file is"},
    {"model-impl", Takes::kValue, Treatment::kWarn, "folio has one"},
    {"tokenizer-mode", Takes::kValue, Treatment::kWarn, "folio has one"},
    {"max-parallel-loading-workers", Takes::kValue, Treatment::kWarn, "--threads load the weights"},
    {"safetensors-load-strategy", Takes::kValue, Treatment::kWarn, "files are mapped"},
    {"use-tqdm-on-load", Takes::kNothing, Treatment::kWarn, "loading shows no bar"},
    {"trust-remote-code", Takes::kNothing, Treatment::kWarn, "folio runs no code of models"},
    {"async-scheduling", Takes::kNothing, Treatment::kWarn, "steps are planned in microseconds"},
    {"runner", Takes::kValue, Treatment::kWarn, "one server gives answers and embeddings"},
    {"convert", Takes::kValue, Treatment::kWarn, "one server gives answers and embeddings"},
    {"disable-log-requests", Takes::kNothing, Treatment::kWarn, "folio logs no requests"},
    {"max-log-len", Takes::kValue, Treatment::kWarn, "folio logs no requests"},
    {"uvicorn-log-level", Takes::kValue, Treatment::kWarn, "there is no uvicorn"},
    {"disable-uvicorn-access-log", Takes::kNothing, Treatment::kWarn, "there is no uvicorn"},
    {"disable-frontend-multiprocessing", Takes::kNothing, Treatment::kWarn, "one process does it all"},
    {"api-server-count", Takes::kValue, Treatment::kWarn,
     "one thread does all input and output, of hundreds"},
    {"disable-log-stats", Takes::kNothing, Treatment::kWarn, "folio logs no statistics; see /metrics"},
    {"aggregate-engine-logging", Takes::kNothing, Treatment::kWarn, "folio logs no statistics; see /metrics"},
    {"enable-server-load-tracking", Takes::kNothing, Treatment::kWarn, "/load is always there"},
    {"chat-template-content-format", Takes::kValue, Treatment::kWarn, "templates are given texts and parts"},
    {"disable-hybrid-kv-cache-manager", Takes::kNothing, Treatment::kWarn,
     "all layers keep the same history"},
    {"disable-chunked-mm-input", Takes::kNothing, Treatment::kWarn, kTextOnly},
    {"limit-mm-per-prompt", Takes::kJson, Treatment::kWarn, kTextOnly},
    {"mm-processor-kwargs", Takes::kJson, Treatment::kWarn, kTextOnly},
    {"media-io-kwargs", Takes::kJson, Treatment::kWarn, kTextOnly},
    {"mm-processor-cache-gb", Takes::kValue, Treatment::kWarn, kTextOnly},
    {"skip-mm-profiling", Takes::kNothing, Treatment::kWarn, kTextOnly},
    {"language-model-only", Takes::kNothing, Treatment::kWarn, kTextOnly},
    {"show-hidden-metrics-for-version", Takes::kValue, Treatment::kWarn,
     "older names of metrics are always there"},

    // Always so.
    {"enable-prefix-caching", Takes::kNothing, Treatment::kOn,
     "prefixes are always cached; cache_salt in a request isolates it"},
    {"tensor-parallel-size", Takes::kValue, Treatment::kOnly, kOneProcess},
    {"pipeline-parallel-size", Takes::kValue, Treatment::kOnly, kOneProcess},
    {"data-parallel-size", Takes::kValue, Treatment::kOnly, kOneProcess},
    {"data-parallel-size-local", Takes::kValue, Treatment::kOnly, kOneProcess},
    {"decode-context-parallel-size", Takes::kValue, Treatment::kOnly, kOneProcess},
    {"prefill-context-parallel-size", Takes::kValue, Treatment::kOnly, kOneProcess},
    {"nnodes", Takes::kValue, Treatment::kOnly, kOneProcess},
    {"node-rank", Takes::kValue, Treatment::kOnly, kOneProcess, "0"},
    {"data-parallel-rank", Takes::kValue, Treatment::kOnly, kOneProcess, "0"},
    {"data-parallel-start-rank", Takes::kValue, Treatment::kOnly, kOneProcess, "0"},
    {"logprobs-mode", Takes::kValue, Treatment::kOnly,
     "log-probabilities are those of the model, before any sampling field (raw_logprobs)", "raw_logprobs"},
    {"response-role", Takes::kValue, Treatment::kOnly, "answers are the assistant's", "assistant"},

    // Not yet.
    {"data-parallel-address", Takes::kValue, Treatment::kRefuse, kOneProcess},
    {"data-parallel-rpc-port", Takes::kValue, Treatment::kRefuse, kOneProcess},
    {"data-parallel-backend", Takes::kValue, Treatment::kRefuse, kOneProcess},
    {"data-parallel-hybrid-lb", Takes::kNothing, Treatment::kRefuse, kOneProcess},
    {"data-parallel-external-lb", Takes::kNothing, Treatment::kRefuse, kOneProcess},
    {"distributed-executor-backend", Takes::kValue, Treatment::kRefuse, kOneProcess},
    {"enable-expert-parallel", Takes::kNothing, Treatment::kRefuse, kOneProcess},
    {"headless", Takes::kNothing, Treatment::kRefuse, kOneProcess},
    {"kv-cache-dtype-skip-layers", Takes::kValue, Treatment::kRefuse,
     "all layers store the same type; --kv-cache-dtype bf16, f16 or f32 is for all"},
    {"kv-offloading-size", Takes::kValue, Treatment::kRefuse, kNoTier},
    {"kv-offloading-backend", Takes::kValue, Treatment::kRefuse, kNoTier},
    {"kv-transfer-config", Takes::kJson, Treatment::kRefuse, kNoTier},
    {"ec-transfer-config", Takes::kJson, Treatment::kRefuse, kTextOnly},
    {"kv-events-config", Takes::kJson, Treatment::kRefuse,
     "events of blocks are not supported yet; routers may ask /v1/chat/completions/render for tokens"},
    {"kv-sharing-fast-prefill", Takes::kNothing, Treatment::kRefuse,
     "no layer uses another's keys and values; leave it out"},
    {"prefix-caching-hash-algo", Takes::kValue, Treatment::kRefuse,
     "nobody sees the hashes of blocks yet, and a hit compares tokens too; leave it out"},
    {"prefix-match-unit", Takes::kValue, Treatment::kRefuse,
     "prefixes match token by token already; leave it out"},
    {"prefix-cache-retention-interval", Takes::kValue, Treatment::kRefuse,
     "what is cached stays until the room is needed; leave it out"},
    {"max-num-scheduled-tokens", Takes::kValue, Treatment::kRefuse,
     "not supported; --max-num-batched-tokens is the limit of a step"},
    {"max-num-queued-tokens", Takes::kValue, Treatment::kRefuse,
     "not supported yet; --max-num-queued-reqs bounds the queue"},
    {"scheduler-reserve-full-isl", Takes::kNothing, Treatment::kOn,
     "a request begins only when there are blocks for its whole prompt"},
    {"watermark", Takes::kValue, Treatment::kRefuse,
     "not supported; admission keeps a block for each running request anyway"},
    {"prefill-schedule-interval", Takes::kValue, Treatment::kRefuse,
     "not supported; --step-budget-ms bounds what prompts take of a step"},
    {"scheduler-cls", Takes::kValue, Treatment::kRefuse,
     "folio loads no code; --scheduling-policy chooses between fcfs and priority"},
    {"disable-sliding-window", Takes::kNothing, Treatment::kRefuse,
     "models with sliding windows are not supported yet; leave it out"},
    {"mamba-cache-mode", Takes::kValue, Treatment::kRefuse, kNoState},
    {"mamba-block-size", Takes::kValue, Treatment::kRefuse, kNoState},
    {"mamba-cache-dtype", Takes::kValue, Treatment::kRefuse, kNoState},
    {"mamba-ssm-cache-dtype", Takes::kValue, Treatment::kRefuse, kNoState},
    {"use-replayssm", Takes::kNothing, Treatment::kRefuse, kNoState},
    {"replayssm-buffer-len", Takes::kValue, Treatment::kRefuse, kNoState},
    {"speculative-config", Takes::kJson, Treatment::kRefuse, kNoDraft},
    {"spec-method", Takes::kValue, Treatment::kRefuse, kNoDraft},
    {"spec-model", Takes::kValue, Treatment::kRefuse, kNoDraft},
    {"spec-tokens", Takes::kValue, Treatment::kRefuse, kNoDraft},
    {"quantization", Takes::kValue, Treatment::kRefuse,
     "not known; --weights q8_0 or q4_0 turns wider weights while loading"},
    {"structured-outputs-config", Takes::kJson, Treatment::kRefuse,
     "structured output is not supported yet; leave it out"},
    {"reasoning-parser", Takes::kValue, Treatment::kRefuse,
     "reasoning is not told apart from the answer yet; leave it out"},
    {"reasoning-config", Takes::kJson, Treatment::kRefuse,
     "reasoning is not told apart from the answer yet; leave it out"},
    {"tool-call-parser", Takes::kValue, Treatment::kRefuse, kNoTools},
    {"tool-parser-plugin", Takes::kValue, Treatment::kRefuse, kNoTools},
    {"enable-auto-tool-choice", Takes::kNothing, Treatment::kRefuse, kNoTools},
    {"enable-lora", Takes::kNothing, Treatment::kRefuse, kNoAdapters},
    {"lora-modules", Takes::kJson, Treatment::kRefuse, kNoAdapters},
    {"max-loras", Takes::kValue, Treatment::kRefuse, kNoAdapters},
    {"max-lora-rank", Takes::kValue, Treatment::kRefuse, kNoAdapters},
    {"tokenizer", Takes::kValue, Treatment::kRefuse, kTheModel},
    {"revision", Takes::kValue, Treatment::kRefuse,
     "folio pull takes the hub's main revision; pull a file instead"},
    {"hf-overrides", Takes::kJson, Treatment::kRefuse,
     "the model's own configuration counts; change its config.json"},
    {"override-generation-config", Takes::kJson, Treatment::kRefuse,
     "not supported yet; --generation-config takes a folder with a generation_config.json"},
    {"default-chat-template-kwargs", Takes::kJson, Treatment::kRefuse,
     "not supported yet; requests say chat_template_kwargs"},
    {"model-loader-extra-config", Takes::kJson, Treatment::kRefuse, kTheModel},
    {"additional-config", Takes::kJson, Treatment::kRefuse, "folio knows no such settings; leave it out"},
    {"enable-force-include-usage", Takes::kNothing, Treatment::kRefuse,
     "not supported yet; streams are asked with stream_options.include_usage"},
    {"enable-log-requests", Takes::kNothing, Treatment::kRefuse, "folio logs no requests; see /metrics"},
    {"root-path", Takes::kValue, Treatment::kRefuse, "not supported; let the proxy take the prefix away"},
    {"middleware", Takes::kValue, Treatment::kRefuse, "folio loads no code; put a proxy in front"},
    {"otlp-traces-endpoint", Takes::kValue, Treatment::kRefuse, "traces are not supported yet; see /metrics"},
    {"collect-detailed-traces", Takes::kValue, Treatment::kRefuse,
     "traces are not supported yet; see /metrics"},
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
    case Treatment::kRefuse:  // not to have it is what it is
      if (flag.takes == Takes::kNothing && value == "false") return {};
      break;
  }
  return fail(ErrorKind::kUnsupported, "--{}{} is refused: {}", value == "false" ? "no-" : "", flag.name,
              flag.why);
}

}  // namespace

std::vector<Flag> foreign_flags(ServeOptions& options) {
  std::vector<Flag> flags;
  for (const Foreign& foreign : kForeign) {
    const bool is_tp = foreign.name == "tensor-parallel-size";
    flags.push_back({.names = fmt::format("--{}{}", foreign.name, is_tp ? ",--tp" : ""),
                     .takes = foreign.takes,
                     .type = foreign.takes == Takes::kNothing ? "" : "VALUE",
                     .help = std::string(foreign.why),
                     .group = "",
                     .set = [&options, &foreign](std::span<const std::string> values) {
                       return treat(foreign, values.back(), options);
                     }});
  }
  return flags;
}

}  // namespace folio::app
