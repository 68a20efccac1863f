// What `folio batch` is asked to do. Plain data.
#pragma once

#include <string>

#include "app/options.h"
#include "engine/request.h"

namespace folio::app {

struct BatchOptions {
  std::string model;                                 // empty: the default model
  std::string input;                                 // requests, one JSON object a line
  std::string output;                                // results, one JSON object a line
  engine::EngineOptions engine;                      // but for its model
  engine::Pooling pooling = engine::Pooling::kLast;  // of /v1/embeddings
  Statistics statistics = Statistics::kShow;
};

}  // namespace folio::app
