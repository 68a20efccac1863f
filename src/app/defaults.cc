#include "app/defaults.h"

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>

#include "hub/store.h"
#include "platform/file.h"
#include "weights/hf_model.h"
#include "weights/json_text.h"
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

// generation_config.json as far as sampling goes.
Result<SamplingFlags> generation_config(const std::string& model_path) {
  SamplingFlags found;
  const std::string path = (fs::path(model_path) / "generation_config.json").string();
  std::error_code ignored;
  if (!fs::is_directory(model_path, ignored) || !fs::exists(path, ignored)) return found;
  FOLIO_TRY(text, platform::read_regular_file(path, weights::kMaxConfigBytes));
  FOLIO_TRY(config, weights::parse_json(text, path));
  if (!config.is_object()) return fail(ErrorKind::kInvalid, "{}: is no JSON object", path);
  const auto take = [&](const char* key, auto& target) -> Status {
    const auto field = config.find(key);
    if (field == config.end() || field->is_null()) return {};
    if (!field->is_number()) return fail(ErrorKind::kInvalid, "{}: '{}' is no number", path, key);
    using Value = typename std::remove_reference_t<decltype(target)>::value_type;
    const double value = field->get<double>();
    if (!(std::abs(value) <= 1e9)) return fail(ErrorKind::kInvalid, "{}: '{}' is out of range", path, key);
    target = static_cast<Value>(value);
    return {};
  };
  FOLIO_TRY_STATUS(take("temperature", found.temperature));
  FOLIO_TRY_STATUS(take("top_k", found.top_k));
  FOLIO_TRY_STATUS(take("top_p", found.top_p));
  FOLIO_TRY_STATUS(take("min_p", found.min_p));
  FOLIO_TRY_STATUS(take("repetition_penalty", found.repetition_penalty));
  return found;
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

Result<sampling::SamplingParams> resolve_sampling(const SamplingFlags& flags, const std::string& model_path) {
  FOLIO_TRY(model, generation_config(model_path));
  sampling::SamplingParams params = kDefaultSampling;
  choose(params.temperature, flags.temperature, model.temperature);
  choose(params.top_k, flags.top_k, model.top_k);
  choose(params.top_p, flags.top_p, model.top_p);
  choose(params.min_p, flags.min_p, model.min_p);
  choose(params.repetition_penalty, flags.repetition_penalty, model.repetition_penalty);
  choose(params.frequency_penalty, flags.frequency_penalty, {});
  choose(params.presence_penalty, flags.presence_penalty, {});
  if (flags.seed) {
    params.seed = *flags.seed;
  } else {
    std::random_device device;
    params.seed = (static_cast<std::uint64_t>(device()) << 32) | device();
  }
  if (auto valid = params.validate(); !valid)
    return fail(valid.error().kind, "{}/generation_config.json: {}", model_path, valid.error().message);
  return params;
}

Result<sampling::SamplingParams> model_sampling(const std::string& model_path,
                                                const sampling::SamplingParams& otherwise) {
  FOLIO_TRY(model, generation_config(model_path));
  sampling::SamplingParams params = otherwise;
  choose(params.temperature, {}, model.temperature);
  choose(params.top_k, {}, model.top_k);
  choose(params.top_p, {}, model.top_p);
  choose(params.min_p, {}, model.min_p);
  choose(params.repetition_penalty, {}, model.repetition_penalty);
  if (auto valid = params.validate(); !valid)
    return fail(valid.error().kind, "{}/generation_config.json: {}", model_path, valid.error().message);
  return params;
}

}  // namespace folio::app
