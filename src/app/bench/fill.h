// A context without the time to compute it: keys and values that nobody computed, found like any other.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"
#include "kernels/kernel_set.h"
#include "kv/kv_cache.h"
#include "platform/thread_pool.h"

namespace folio::app {

// Parts of an engine, which owns them.
struct FillParts {
  const kernels::KernelSet* kernels;
  platform::ThreadPool* pool;
  kv::KvCache* cache;
  std::uint32_t vocab;
};

// Puts keys and values into the cache as those of `tokens`, whole blocks only, so that a request with this
// salt and prefix starts behind a long context at once. Its answers mean nothing; other salts are not
// touched. The engine's thread, while nothing is running. Errors: kTooLarge where the blocks do not hold
// them; a token outside the vocabulary.
[[nodiscard]] Status fill_context(const FillParts& parts, std::string_view salt,
                                  std::span<const TokenId> tokens);

}  // namespace folio::app
