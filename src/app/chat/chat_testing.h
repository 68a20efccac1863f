// For this floor's tests: an engine with a real model of 1 MB, from the fixtures.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>

#include "engine/engine.h"

namespace folio::app {

inline std::string fixture_model() {
  const auto source = std::filesystem::path(__FILE__).parent_path().parent_path().parent_path().parent_path();
  return (source / "tests" / "fixtures" / "stories260k" / "stories260k.gguf").string();
}

inline std::unique_ptr<engine::Engine> fixture_engine(std::size_t context_tokens = 0) {
  engine::EngineOptions options;
  options.model = fixture_model();
  options.context_tokens = context_tokens;
  options.threads = 1;
  auto engine = engine::Engine::load(options);
  EXPECT_TRUE(engine) << engine.error().message;
  return engine ? std::move(*engine) : nullptr;
}

}  // namespace folio::app
