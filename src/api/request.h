// The bodies of /v1/chat/completions, /v1/completions and /v1/embeddings, checked field by field. What a
// field may hold is in one table (request_fields.cc), what folio refuses by name in another
// (refused_fields.cc); /openapi.json is made of the same tables.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "api/embedding_text.h"
#include "api/json.h"
#include "api/notes.h"
#include "base/shared_list.h"
#include "engine/engine.h"

namespace folio::api {

// Where a field is taken: any sum of the first three.
enum Endpoint : unsigned { kChat = 1, kCompletions = 2, kEmbeddings = 4, kBoth = 3, kAll = 7 };

inline constexpr std::size_t kMaxPrompts = 128;
inline constexpr std::size_t kMaxInputs = 2048;  // of /v1/embeddings
inline constexpr std::size_t kMaxStopTexts = 64;
inline constexpr std::uint32_t kDefaultMaxLogprobs = 20;
inline constexpr std::uint32_t kAllLogprobs = 0xFFFFFFFF;  // -1: of the whole vocabulary
inline constexpr std::size_t kDefaultCompletionTokens = 16;
inline constexpr std::size_t kWholeContext =
    std::numeric_limits<std::size_t>::max();  // of max_tokens, as read

enum class TokenNames { kTexts, kIds };  // of log-probabilities; kIds: "token_id:7"

using Prompt = std::variant<std::string, std::vector<TokenId>>;

struct Request {
  Endpoint endpoint = kChat;
  std::string model;              // empty: whatever is served
  std::vector<Prompt> prompts;    // of a completion; the inputs to be embedded
  Json messages = Json::array();  // of a chat, every content a text
  std::string documents, kwargs;  // JSON for the template; empty: none
  sampling::SamplingParams sampling;
  std::optional<std::uint64_t> seed;          // unset: drawn
  std::optional<std::size_t> max_tokens;      // unset: what the context leaves
  std::size_t n = 1;                          // answers to each prompt
  std::int32_t priority = 0;                  // smaller first
  std::uint64_t tenant = 0;                   // who asks; not a field
  std::optional<std::uint32_t> logprobs;      // of each generated token, with so many of the most likely ones
  std::optional<std::uint32_t> top_logprobs;  // a chat's field, which counts with its `logprobs` only
  std::optional<std::uint32_t> prompt_logprobs;  // the same of each token of the prompt but the first
  TokenNames token_names = TokenNames::kTexts;
  std::vector<std::string> bad_words;  // texts; prepare() makes tokens of them
  SharedList<std::string> stop;
  std::string cache_salt, request_id;
  std::optional<std::size_t> truncate_prompt_tokens;  // keep the last ones
  std::optional<bool> add_special_tokens;
  bool add_generation_prompt = true;
  bool ignore_eos = false;
  bool use_beam_search = false;  // then `sampling` is greedy where the request says nothing
  double length_penalty = 1;
  bool echo = false;
  bool stream = false;
  bool include_usage = false;
  bool continuous_usage = false;
  bool return_token_ids = false;
  // Of /v1/embeddings; how prompts are pooled is the server's to say.
  engine::Pooling pooling = engine::Pooling::kNone;
  std::optional<Normalize> normalize;  // unset: as the server does
  VectorFormat vector_format = VectorFormat::kFloat;
  std::optional<std::size_t> dimensions;
  Notes notes;
};

// How bodies are read.
struct ReadingRules {
  sampling::SamplingParams sampling;  // what sampling fields mean where they are absent
  UnknownFields unknown_fields = UnknownFields::kIgnore;
};

// Null is absent everywhere. Errors: 400 naming the first field that is wrong, missing or refused, or, by the
// rules, unknown.
[[nodiscard]] Checked<Request> parse_request(Endpoint endpoint, std::string_view body,
                                             const ReadingRules& rules);
[[nodiscard]] Checked<Request> read_request(Endpoint endpoint, const Json& body, const ReadingRules& rules);

// The two tables, for parse_request() and /openapi.json.
// A request while it is read.
struct Reading {
  Request request;
  UnknownFields unknown_fields = UnknownFields::kIgnore;
  // max_completion_tokens is the newer name of max_tokens, and wins.
  std::optional<std::size_t> max_completion_tokens = {};

  // A field that means nothing here: noted, or refused; `why` ends "'name' ...".
  Checked<void> ignore(std::string_view name, std::string_view why);
};

struct Field {
  std::string_view name;
  Endpoint endpoints;
  std::string_view schema;  // JSON Schema of the value
  Checked<void> (*read)(const Json& value, std::string_view name, Reading& reading);
};
struct RefusedField {
  std::string_view name;
  Endpoint endpoints;
  std::string_view neutral;  // JSON list of the values that ask for nothing, besides null
  std::string_view why;      // the end of "'name' ..."
  // Whether the answer would be another one: else it is ignored as an unknown field is.
  enum class Changes { kAnswer, kNothing } changes = Changes::kAnswer;
};
[[nodiscard]] std::span<const Field> request_fields();
[[nodiscard]] std::span<const RefusedField> refused_fields();

// The `messages` of a chat: roles and contents checked, contents made texts.
[[nodiscard]] Checked<Json> read_messages(const Json& value, std::string_view name, Reading& reading);

}  // namespace folio::api
