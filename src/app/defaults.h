// What holds where the command line says nothing: the model, its folder, and how tokens are chosen.
// Threads: any; the functions read the environment.
#pragma once

#include <string>
#include <string_view>

#include "api/prepare.h"
#include "app/options.h"
#include "base/result.h"
#include "sampling/sampling_params.h"
#include "weights/generation_config.h"

namespace folio::app {

// What llama.cpp's users are used to, a little cooler for the sake of small models.
inline const sampling::SamplingParams kDefaultSampling = {
    .temperature = 0.7F, .top_k = 40, .top_p = 0.95F, .min_p = 0.05F};

// What requests of chats mean where neither they nor the model say: as llama-server's users know it.
inline const sampling::SamplingParams kLocalChatSampling = {
    .temperature = 0.8F, .top_k = 40, .top_p = 0.95F, .min_p = 0.05F};

// $FOLIO_HOME/models, else ${XDG_CACHE_HOME:-~/.cache}/folio/models; the file that ./dev run puts there.
[[nodiscard]] std::string default_model_path();

// $FOLIO_HOME/models, else ${XDG_CACHE_HOME:-~/.cache}/folio/models: where folio pull puts what it brings.
[[nodiscard]] std::string models_folder();

// $FOLIO_HOME, else ${XDG_STATE_HOME:-~/.local/state}/folio: history, and the note that the notice was shown.
[[nodiscard]] std::string state_folder();

// The path to open for a MODEL argument (empty: the default). Errors: kNotFound, saying what to give instead.
[[nodiscard]] Result<std::string> resolve_model(const std::string& model);

// The flags, then what the model says, then kDefaultSampling. Draws a seed where none is given. Errors: a
// value out of range, named with the file it stands in.
[[nodiscard]] Result<sampling::SamplingParams> resolve_sampling(const SamplingFlags& flags,
                                                                const weights::GenerationConfig& model);

// What requests mean where they are silent: what the model says; else kLocalChatSampling in chats, and the
// API's own (temperature 1, no limits) everywhere else. A model that says something says all of it: what it
// leaves out is not limited. Errors: as above.
[[nodiscard]] Result<api::GenerationDefaults> generation_defaults(const weights::GenerationConfig& model);
// `wanted`: "auto", the model's; "vllm", the API's own everywhere; else a folder with another
// generation_config.json. Errors: also no such folder.
[[nodiscard]] Result<api::GenerationDefaults> choose_generation_defaults(
    const std::string& wanted, const weights::GenerationConfig& model);
// Of chats: "temperature 0.8, top-k 40, top-p 0.95, min-p 0.05".
[[nodiscard]] std::string describe_sampling(const api::GenerationDefaults& defaults);

}  // namespace folio::app
