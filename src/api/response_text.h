// The JSON of answers, whole and in pieces, as the OpenAI API has it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/json.h"
#include "api/request.h"
#include "base/ids.h"

namespace folio::api {

enum class CachedTokens { kShow, kHide };  // prompt_tokens_details in usage

struct Usage {
  std::size_t prompt_tokens = 0, completion_tokens = 0, cached_tokens = 0;
};

// What is the same in every piece of an answer.
struct ResponseHead {
  Endpoint endpoint = kChat;
  std::string id, model;
  std::int64_t created_s = 0;
  CachedTokens cached_tokens = CachedTokens::kShow;
  std::optional<std::uint64_t> seed = {};  // said where it is set
  Notes notes = {};                        // said as `folio` where there are any; over HTTP headers say them
};

struct ChoiceText {
  std::size_t index = 0;
  std::string text;
  std::optional<std::string_view> finish_reason;
  Json logprobs = nullptr;
  Json prompt_logprobs = nullptr;  // null: not asked for
  // With return_token_ids.
  std::optional<std::vector<TokenId>> token_ids, prompt_token_ids;
};

[[nodiscard]] Json usage_json(const Usage& usage, CachedTokens cached_tokens);
[[nodiscard]] std::string whole_response(const ResponseHead& head, std::span<const ChoiceText> choices,
                                         const Usage& usage);

// /v1/embeddings; `entries` are JSON, in order.
[[nodiscard]] std::string embedding_response(const ResponseHead& head, std::span<const std::string> entries,
                                             const Usage& usage);

enum class Piece { kFirst, kNext };  // kFirst: of its choice; carries the role

// One `data:` event. `usage`: nullptr, no such key; an empty optional, null.
[[nodiscard]] std::string stream_piece(const ResponseHead& head, const ChoiceText& choice, Piece piece,
                                       const std::optional<Usage>* usage);
// The last event with include_usage: no choice.
[[nodiscard]] std::string stream_usage(const ResponseHead& head, const Usage& usage);
[[nodiscard]] std::string stream_event(std::string_view json);

}  // namespace folio::api
