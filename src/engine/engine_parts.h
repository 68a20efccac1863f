// What Engine::load() puts together. Internal to the engine's two source files.
#pragma once

#include "engine/engine.h"

namespace folio::engine {

struct Engine::Parts {
  const kernels::KernelSet& kernels;
  std::unique_ptr<platform::ThreadPool> pool;
  text::Tokenizer tokenizer;
  text::ChatTemplate chat_template;
  std::unique_ptr<model::Model> model;
  std::unique_ptr<kv::KvCache> cache;
  model::Workspace workspace;
  std::size_t context_tokens;
  KvUse kv_use;
};

}  // namespace folio::engine
