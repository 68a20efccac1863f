// The ways in which vLLM's users write the flags of `folio serve`, turned into the one that its table knows:
//
//   --max_num_seqs 8                      --max-num-seqs 8          up to the first dot
//   -tp 2, -tp=2, -O3                     --tensor-parallel-size 2, --optimization-level 3
//   --pooler-config.pooling_type MEAN     --pooler-config '{"pooling_type":"MEAN"}'
//   --x.list+ a,b                         --x '{"list":["a","b"]}'
//
// Pure; any thread. Cost: linear in the text.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "app/flag.h"
#include "base/result.h"

namespace folio::app {

// The words behind `folio serve`. What follows a flag that takes a value is left as it is. Errors: a part of
// a flag that is no JSON, or without a value.
[[nodiscard]] Result<std::vector<std::string>> plain_spelling(std::span<const std::string> words,
                                                              std::span<const Flag> flags);

// "max_num_seqs" -> "max-num-seqs"; what is behind a dot is a key of JSON and stays.
[[nodiscard]] std::string with_dashes(std::string_view name);

// Of "x.y.z" and a value: {"y":{"z":value}}, the value being JSON, or else a text; with "x.y+" a list of the
// texts between its commas. Requires: `name` has a dot.
[[nodiscard]] std::string json_of_part(std::string_view name, std::string_view value);

// All that one source says of a JSON flag as one text: objects are merged key by key, lists joined; of other
// values the last counts. Errors: a text that is no JSON, naming the flag.
[[nodiscard]] Result<std::string> merge_json(std::string_view flag, std::span<const std::string> texts);

}  // namespace folio::app
