#include "trace.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "kv/kv_cache.h"
#include "weights/json_text.h"

namespace folio::experiments {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kBlockTokens = 16;
constexpr std::size_t kMostBlocks = std::numeric_limits<std::int32_t>::max() / kBlockTokens - 1;
constexpr TokenId kOwnToken{
    std::numeric_limits<std::int32_t>::max()};  // no block's: every request asks for it

Result<std::vector<std::uint32_t>> read_request(const std::string& line, const std::string& where) {
  FOLIO_TRY(json, weights::parse_json(line, where));
  const auto ids = json.is_object() ? json.find("hash_ids") : json.end();
  std::vector<std::uint32_t> request;
  bool is_valid = json.is_object() && ids != json.end() && ids->is_array();
  if (is_valid)
    for (const Json& id : *ids) {
      is_valid = is_valid && id.is_number_unsigned() && id.get<std::uint64_t>() < kMostBlocks;
      if (is_valid) request.push_back(id.get<std::uint32_t>());
    }
  if (!is_valid)
    return fail(ErrorKind::kInvalid, "{} is no request of a trace: it takes {{\"hash_ids\": [0, 1, ...]}}",
                where);
  return request;
}

// A block of the trace as tokens that no other block has; then one that must be computed.
void name_tokens(const std::vector<std::uint32_t>& request, std::vector<TokenId>& tokens) {
  tokens.clear();
  for (const std::uint32_t id : request)
    for (std::size_t i = 0; i < kBlockTokens; ++i)
      tokens.push_back(TokenId{static_cast<std::int32_t>(id * kBlockTokens + i)});
  tokens.push_back(kOwnToken);
}

}  // namespace

Result<Trace> read_trace(const std::string& path) {
  std::ifstream file(path);
  if (!file) return fail(ErrorKind::kIo, "{}: the trace cannot be read", path);
  Trace trace;
  std::unordered_set<std::uint32_t> seen;
  std::string line;
  for (std::size_t number = 1; std::getline(file, line); ++number) {
    if (line.empty()) continue;
    FOLIO_TRY(request, read_request(line, fmt::format("{}: line {}", path, number)));
    trace.references += request.size();
    seen.insert(request.begin(), request.end());
    trace.requests.push_back(std::move(request));
  }
  trace.blocks = seen.size();
  if (trace.references == 0) return fail(ErrorKind::kInvalid, "{}: the trace holds no requests", path);
  return trace;
}

Result<Replay> replay(const Trace& trace, std::size_t capacity_blocks, kv::Eviction eviction) {
  FOLIO_TRY(geometry, kv::KvGeometry::create({.layers = 1, .kv_heads = 1, .key_dim = 2, .value_dim = 2}));
  // One block more for the token of its own that every request has.
  FOLIO_TRY(cache, kv::KvCache::create({.geometry = geometry,
                                        .blocks = capacity_blocks + 1,
                                        .eviction = eviction,
                                        .attention_share = 1e-4}));
  Replay result{.capacity_blocks = capacity_blocks, .eviction = eviction};
  std::vector<TokenId> tokens;
  for (const auto& request : trace.requests) {
    name_tokens(request, tokens);
    kv::SequenceKv kv = cache->open(SequenceId{0}, "", tokens.size());
    result.hit_blocks += cache->match(kv, tokens) / kBlockTokens;
    if (cache->reserve(kv, tokens.size()) == kv::Reserve::kDone) cache->commit(kv, tokens, tokens.size());
  }
  return result;
}

}  // namespace folio::experiments
