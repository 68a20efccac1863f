// What folio answers to the shell.
#pragma once

namespace folio::app {

enum class ExitCode : int {
  kOk = 0,
  kError = 1,          // the sentence is on standard error
  kUsage = 2,          // the command line itself is wrong
  kInterrupted = 130,  // Ctrl-C ended a one-shot answer
};

}  // namespace folio::app
