// What `folio batch` is asked to do. Plain data.
#pragma once

#include <string>

#include "app/options.h"

namespace folio::app {

struct BatchOptions {
  std::string model;             // empty: the default model
  std::string input;             // requests, one JSON object a line
  std::string output;            // results, one JSON object a line
  engine::EngineOptions engine;  // but for its model
  Statistics statistics = Statistics::kShow;
};

}  // namespace folio::app
