// vLLM's flags that folio serve knows and does not do: one line each.
#include "app/serve_options.h"

namespace folio::app {
namespace {

enum class Treatment {
  kWarn,    // means nothing on a CPU, or is gone from vLLM too: accepted with one warning
  kRefuse,  // would change answers or what is stored
  kOn,      // is always so: true is accepted
  kOne,     // 1 is accepted
};
enum class Takes { kValue, kNothing };

struct Foreign {
  std::string_view name;
  Takes takes;
  Treatment treatment;
  std::string_view why;
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

    // Always so.
    {"enable-prefix-caching", Takes::kNothing, Treatment::kOn,
     "prefixes are always cached; cache_salt in a request isolates it"},
    {"tensor-parallel-size", Takes::kValue, Treatment::kOne,
     "several machines or processes are not supported yet"},
    {"pipeline-parallel-size", Takes::kValue, Treatment::kOne,
     "several machines or processes are not supported yet"},
    {"data-parallel-size", Takes::kValue, Treatment::kOne,
     "several machines or processes are not supported yet"},

    // Not yet.
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
    {"ssl-certfile", Takes::kValue, Treatment::kRefuse,
     "not supported yet: put a TLS proxy (nginx, caddy) before --uds or 127.0.0.1"},
    {"ssl-keyfile", Takes::kValue, Treatment::kRefuse,
     "not supported yet: put a TLS proxy (nginx, caddy) before --uds or 127.0.0.1"},
};

Status treat(const Foreign& flag, const std::string& value, ServeOptions& options) {
  switch (flag.treatment) {
    case Treatment::kWarn:
      options.warnings.push_back(fmt::format("--{} changes nothing: {}", flag.name, flag.why));
      return {};
    case Treatment::kOn:
      if (value == "true") return {};
      break;
    case Treatment::kOne:
      if (value == "1") return {};
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
