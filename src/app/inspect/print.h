// The report of `folio inspect` laid out for people.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace folio::app {

// `report` as inspect_report.h makes it. Control characters and bytes that are no UTF-8 are shown as U+FFFD.
[[nodiscard]] std::string print_report(const nlohmann::ordered_json& report);

}  // namespace folio::app
