// How a server behaves where there is a choice.
#pragma once

namespace folio::server {

enum class Mode { kNormal, kDevelopment };  // kDevelopment: /reset_prefix_cache
enum class Tenants { kShared, kByKey };     // kByKey: API keys never share cached blocks
enum class RequestIds { kHide, kShow };     // X-Request-Id in answers
enum class CachedTokens { kShow, kHide };   // prompt_tokens_details in usage

enum class Normalize { kYes, kNo };           // embeddings have length 1
enum class TokenNames { kTexts, kIds };       // of log-probabilities; kIds: "token_id:7"
enum class VectorFormat { kFloat, kBase64 };  // of embeddings in JSON

enum class Priorities { kRefuse, kUse };  // the field `priority`

}  // namespace folio::server
