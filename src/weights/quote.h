// Names that come from a file, made fit for a message on a terminal.
#pragma once

#include <string>
#include <string_view>

namespace folio::weights {

// 'name', with everything but printable ASCII as \xNN, cut after 80 characters.
std::string quote(std::string_view name);

}  // namespace folio::weights
