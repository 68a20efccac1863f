// What the command line asks for, checked: every number is in its range. Plain data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/options.h"

namespace folio::app {

enum class Templating { kChat, kRaw };  // kRaw: the prompt as it is, no chat template
enum class Statistics { kShow, kHide };
enum class Verbosity { kNormal, kVerbose };

// Sampling as far as it was given; what is unset comes from the model, then from kDefaultSampling.
struct SamplingFlags {
  std::optional<float> temperature, top_p, min_p, repetition_penalty, frequency_penalty, presence_penalty;
  std::optional<std::int32_t> top_k;
  std::optional<std::uint64_t> seed;
};

struct RunOptions {
  std::string model;  // empty: the default model
  std::optional<std::string> prompt;
  std::optional<std::string> prompt_file;  // "-": standard input
  std::optional<std::string> system;
  SamplingFlags sampling;
  std::optional<std::size_t> max_tokens;
  std::vector<std::string> stop;
  engine::EngineOptions engine;  // but for its model
  Templating templating = Templating::kChat;
  Statistics statistics = Statistics::kShow;
  Verbosity verbosity = Verbosity::kNormal;
};

enum class InspectFormat { kText, kJson };

struct InspectOptions {
  std::string model;                  // empty: the default model if it is there
  std::vector<std::string> sections;  // empty: all
  InspectFormat format = InspectFormat::kText;
  engine::EngineOptions engine;  // of it the shape of the KV cache
};

struct PullOptions {
  std::string name;  // as hub::parse_reference() takes it
};
struct ListOptions {};
struct RmOptions {
  std::string name;  // as hub::Store::find() takes it
};

// The parts of `folio inspect`, in the order in which they are printed.
inline constexpr const char* kInspectSections[] = {"model",    "metadata", "tensors", "tokenizer",
                                                   "template", "kv",       "cpu"};

}  // namespace folio::app
