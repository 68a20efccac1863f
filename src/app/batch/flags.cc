#include "app/batch/flags.h"

#include "app/flag_kinds.h"
#include "app/shared_flags.h"

namespace folio::app {

Command describe_batch(BatchOptions& batch) {
  std::vector<Flag> rows = {
      text({.names = "INPUT",
            .help = "requests in OpenAI's batch format, one JSON object per line",
            .type = "FILE"},
           batch.input),
      text({.names = "OUTPUT",
            .help = "results, one JSON object per line; results that are already in it are kept",
            .type = "FILE"},
           batch.output),
      model_flag("-m,--model", kDefaultModel, batch.model), pooling_flag(batch.pooling)};
  for (Flag& row : engine_flags(Verb::kBatch, batch.engine)) rows.push_back(std::move(row));
  rows.push_back(statistics_flag("Output", "hide the line of statistics at the end", batch.statistics));
  return {
      .name = "batch",
      .help = "answer every request of a file",
      .flags = std::move(rows),
      .footer =
          "Requests that begin alike share what is computed, so results come in another order than requests: "
          "\"id\"\n"
          "is batch_req_ and the number of the line. A line that cannot be answered gets a result with an "
          "\"error\".\n"
          "After Ctrl-C or a kill the same command continues where it stopped.\n\n"
          "Example:\n"
          "  folio batch requests.jsonl results.jsonl -m Llama-3.2-1B-Instruct-Q4_K_M.gguf --kv-tokens "
          "32768"};
}

Status check_batch(const BatchOptions& batch) {
  if (batch.output.empty())
    return fail(ErrorKind::kInvalid, "folio batch takes two files: the requests, and where the results go");
  return {};
}

}  // namespace folio::app
