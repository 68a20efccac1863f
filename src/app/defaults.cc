#include "app/defaults.h"

#include <cstdlib>
#include <filesystem>
#include <random>

#include "hub/store.h"
#include "weights/quote.h"

namespace folio::app {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDefaultModelFile = "SmolLM2-135M-Instruct.Q4_1.gguf";

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// $FOLIO_HOME, else the folder for `variable`, else `fallback` in the home folder.
std::string folder(const char* variable, std::string_view fallback) {
  if (std::string own = environment("FOLIO_HOME"); !own.empty()) return own;
  if (const std::string base = environment(variable); !base.empty()) return base + "/folio";
  const std::string home = environment("HOME");
  return fmt::format("{}/{}/folio", home.empty() ? "." : home, fallback);
}

template <typename T>
void choose(T& target, const std::optional<T>& flag, const std::optional<T>& model) {
  if (flag)
    target = *flag;
  else if (model)
    target = *model;
}

}  // namespace

std::string models_folder() { return folder("XDG_CACHE_HOME", ".cache") + "/models"; }

std::string default_model_path() { return models_folder() + "/" + kDefaultModelFile; }

std::string state_folder() { return folder("XDG_STATE_HOME", ".local/state"); }

Result<std::string> resolve_model(const std::string& model) {
  std::error_code ignored;
  if (model.empty()) {
    std::string path = default_model_path();
    if (fs::exists(path, ignored)) return path;
    return fail(ErrorKind::kNotFound,
                "the default model is not at {}: './dev run' fetches it, or give the path of a model", path);
  }
  if (fs::exists(model, ignored)) return model;
  const auto stored = hub::Store(models_folder()).find(model);
  if (stored) return stored->path;
  if (stored.error().kind == ErrorKind::kInvalid) return pass(stored);
  return fail(
      ErrorKind::kNotFound,
      "there is no file or directory {}; give the path of a GGUF file or of a Hugging Face directory, "
      "or download a model with folio pull",
      weights::quote(model));
}

namespace {

// `base`, with what the model says.
Result<sampling::SamplingParams> with_model(sampling::SamplingParams base, const SamplingFlags& flags,
                                            const weights::GenerationConfig& model) {
  choose(base.temperature, flags.temperature, model.temperature);
  choose(base.top_k, flags.top_k, model.top_k);
  choose(base.top_p, flags.top_p, model.top_p);
  choose(base.min_p, flags.min_p, model.min_p);
  choose(base.repetition_penalty, flags.repetition_penalty, model.repetition_penalty);
  if (auto valid = base.validate(); !valid)
    return fail(valid.error().kind, "{}: {}", model.source, valid.error().message);
  return base;
}

}  // namespace

Result<sampling::SamplingParams> resolve_sampling(const SamplingFlags& flags,
                                                  const weights::GenerationConfig& model) {
  FOLIO_TRY(params, with_model(kDefaultSampling, flags, model));
  choose(params.frequency_penalty, flags.frequency_penalty, {});
  choose(params.presence_penalty, flags.presence_penalty, {});
  if (flags.seed) {
    params.seed = *flags.seed;
  } else {
    std::random_device device;
    params.seed = (static_cast<std::uint64_t>(device()) << 32) | device();
  }
  return params;
}

Result<api::GenerationDefaults> generation_defaults(const weights::GenerationConfig& model) {
  api::GenerationDefaults defaults{.max_new_tokens = model.max_new_tokens};
  FOLIO_TRY(text, with_model({}, {}, model));
  defaults.text = text;
  defaults.chat = model.says_sampling() ? text : kLocalChatSampling;
  return defaults;
}

Result<api::GenerationDefaults> choose_generation_defaults(const std::string& wanted,
                                                           const weights::GenerationConfig& model) {
  if (wanted == "vllm") return api::GenerationDefaults{};
  if (wanted == "auto") return generation_defaults(model);
  std::error_code ignored;
  if (!fs::is_directory(wanted, ignored))
    return fail(ErrorKind::kNotFound, "--generation-config {} is no folder; give auto, vllm or a folder",
                weights::quote(wanted));
  FOLIO_TRY(config, weights::generation_config_in(wanted));
  if (config.source.empty())
    return fail(ErrorKind::kNotFound, "--generation-config {} has no generation_config.json",
                weights::quote(wanted));
  return generation_defaults(config);
}

std::string describe_sampling(const api::GenerationDefaults& defaults) {
  const sampling::SamplingParams& c = defaults.chat;
  std::string text = fmt::format("temperature {}", c.temperature);
  if (c.top_k > 0) text += fmt::format(", top-k {}", c.top_k);
  if (c.top_p < 1) text += fmt::format(", top-p {}", c.top_p);
  if (c.min_p > 0) text += fmt::format(", min-p {}", c.min_p);
  if (c.repetition_penalty != 1) text += fmt::format(", repetition penalty {}", c.repetition_penalty);
  if (defaults.max_new_tokens) text += fmt::format(", at most {} tokens", *defaults.max_new_tokens);
  return text;
}

}  // namespace folio::app
