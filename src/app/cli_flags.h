// The flags of each command, what they take and what their help says. Internal to the command line.
//
// A value that is refused is thrown as the library's ParseError with the whole sentence; parse_command_line()
// catches it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "app/batch/options.h"
#include "app/options.h"

namespace CLI {
class App;
}

namespace folio::app {

// `app` keeps pointers into the second argument until it has parsed.
void define_run(CLI::App* app, RunOptions& run);
void define_batch(CLI::App* app, BatchOptions& batch);
void define_inspect(CLI::App* app, InspectOptions& inspect);
// Collects names and values; serve_options.h says what they mean.
void define_serve(CLI::App* app, std::vector<std::pair<std::string, std::string>>& to);
void define_pull(CLI::App* app, PullOptions& pull);
void define_list(CLI::App* app);
void define_rm(CLI::App* app, RmOptions& rm);
void define_completion(CLI::App* app, std::string& shell);

}  // namespace folio::app
