// One line of a golden report: what was compared, whether it agrees, and by how much.
#pragma once

#include <string>

namespace folio::golden {

enum class GoldenStatus { kPass, kFail, kSkip };

struct GoldenLine {
  std::string name;  // the entry, e.g. "dequant/Q4_0"
  GoldenStatus status = GoldenStatus::kFail;
  std::string detail;  // figures, or why it failed or was skipped; one line
};

}  // namespace folio::golden
