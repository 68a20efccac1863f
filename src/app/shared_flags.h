// The rows that several commands share, each once: those of the engine, and a few more.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "app/flag.h"
#include "app/options.h"
#include "base/result.h"
#include "engine/options.h"
#include "engine/request.h"

namespace folio::app {

// The commands that load a model, or at least its configuration.
enum class Verb : std::uint8_t { kRun = 1, kServe = 2, kBatch = 4, kInspect = 8, kBench = 16 };

// The rows of the engine that mean something to `verb`, in the order of --help. `engine` outlives them. Where
// vLLM and llama.cpp have a name of their own both are taken, and folio serve is spelled as vLLM.
[[nodiscard]] std::vector<Flag> engine_flags(Verb verb, engine::EngineOptions& engine);

// `names` with or without "MODEL"; `otherwise`: what holds without it.
[[nodiscard]] Flag model_flag(std::string names, std::string_view otherwise, std::string& model);
inline constexpr std::string_view kDefaultModel = "SmolLM2-135M-Instruct, which ./dev run fetches";

[[nodiscard]] Flag pooling_flag(engine::Pooling& pooling);
// "last" and "mean" in any case. Errors: another one, in a sentence about `what`.
[[nodiscard]] Result<engine::Pooling> read_pooling(std::string_view what, std::string name);

[[nodiscard]] Flag statistics_flag(std::string group, std::string help, Statistics& statistics);

}  // namespace folio::app
