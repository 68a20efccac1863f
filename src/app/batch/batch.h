// `folio batch IN.jsonl OUT.jsonl`: answers every line of a file, as many at a time as the block pool holds.
//
// Requests are taken in windows of kBatchWindow lines, and in each in the order of their prompts' tokens:
// those that begin alike run next to each other, and share what is computed. Results come as they are done,
// one line each; "id" says which line of the input it answers.
#pragma once

#include "app/batch/options.h"
#include "app/console.h"
#include "app/exit_code.h"

namespace folio::app {

inline constexpr std::size_t kBatchWindow = 4096;

// Does the whole command. What an earlier run wrote into the output is not computed again. After Ctrl-C what
// is done is in the output, and the same command goes on from there.
ExitCode batch_command(const BatchOptions& options, Console& console);

}  // namespace folio::app
