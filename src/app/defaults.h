// What holds where the command line says nothing: the model, its folder, and how tokens are chosen.
// Threads: any; the functions read the environment.
#pragma once

#include <string>
#include <string_view>

#include "app/options.h"
#include "base/result.h"
#include "sampling/sampling_params.h"

namespace folio::app {

// What llama.cpp's users are used to, a little cooler for the sake of small models.
inline const sampling::SamplingParams kDefaultSampling = {
    .temperature = 0.7F, .top_k = 40, .top_p = 0.95F, .min_p = 0.05F};

// $FOLIO_HOME/models, else ${XDG_CACHE_HOME:-~/.cache}/folio/models; the file that ./dev run puts there.
[[nodiscard]] std::string default_model_path();

// $FOLIO_HOME/models, else ${XDG_CACHE_HOME:-~/.cache}/folio/models: where folio pull puts what it brings.
[[nodiscard]] std::string models_folder();

// $FOLIO_HOME, else ${XDG_STATE_HOME:-~/.local/state}/folio: history, and the note that the notice was shown.
[[nodiscard]] std::string state_folder();

// The path to open for a MODEL argument (empty: the default). Errors: kNotFound, saying what to give instead.
[[nodiscard]] Result<std::string> resolve_model(const std::string& model);

// The flags, then what generation_config.json of a Hugging Face directory says, then kDefaultSampling. Draws
// a seed where none is given. Errors: a generation_config.json that is malformed or out of range, named.
[[nodiscard]] Result<sampling::SamplingParams> resolve_sampling(const SamplingFlags& flags,
                                                                const std::string& model_path);

// What generation_config.json of a Hugging Face directory says, and `otherwise` where it says nothing.
// Errors: as above.
[[nodiscard]] Result<sampling::SamplingParams> model_sampling(const std::string& model_path,
                                                              const sampling::SamplingParams& otherwise);

}  // namespace folio::app
