// Fields that folio knows and does not do: refused where they would change the answer, else ignored. To turn
// one on: delete its line and add one to request_fields.cc.
#include "api/request.h"

namespace folio::api {
namespace {

constexpr RefusedField kRefused[] = {
    // Structured output, tools, reasoning.
    {"response_format", kBoth, "[{\"type\": \"text\"}]",
     "takes only {\"type\": \"text\"}: structured output is not supported yet"},
    {"structured_outputs", kBoth, "[]", "is not supported yet; leave it out"},
    {"guided_json", kBoth, "[]", "is not supported; structured output comes with structured_outputs, later"},
    {"guided_regex", kBoth, "[]", "is not supported; structured output comes with structured_outputs, later"},
    {"guided_choice", kBoth, "[]",
     "is not supported; structured output comes with structured_outputs, later"},
    {"guided_grammar", kBoth, "[]",
     "is not supported; structured output comes with structured_outputs, later"},
    {"tools", kChat, "[[]]", "is not supported yet; leave it out, or describe the tools in a message"},
    {"tool_choice", kChat, "[\"none\", \"auto\"]", "is not supported yet; leave it out"},
    {"parallel_tool_calls", kChat, "[true, false]", "is not supported yet; leave it out",
     RefusedField::Changes::kNothing},
    {"functions", kChat, "[[]]", "is not supported; the API itself has replaced it by tools"},
    {"function_call", kChat, "[\"none\", \"auto\"]",
     "is not supported; the API itself has replaced it by tools"},
    {"reasoning_effort", kChat, "[]",
     "is not supported yet; a template that knows it takes it in chat_template_kwargs"},
    {"include_reasoning", kChat, "[true]",
     "takes only true: reasoning is not told from the rest of the answer yet"},
    {"verbosity", kChat, "[\"medium\"]", "is not supported; ask for it in a message"},

    // Other ways to ask, to search and to show.
    {"best_of", kBoth, "[1]", "is not supported; leave it out"},
    {"echo", kChat, "[false]", "is for /v1/completions only; leave it out"},
    {"suffix", kCompletions, "[\"\"]",
     "is not supported; put the text that follows into the prompt as the model expects it"},
    {"prompt_embeds", kCompletions, "[]", "is not supported; send the prompt as text or token ids"},
    {"chat_template", kChat, "[]", "is not taken from requests; start folio serve with --chat-template FILE"},
    {"continue_final_message", kChat, "[false]", "is not supported; /v1/completions continues a text"},
    {"skip_special_tokens", kBoth, "[true]", "takes only true: the text of control tokens is not shown"},
    {"spaces_between_special_tokens", kBoth, "[true]", "takes only true"},
    {"include_stop_str_in_output", kBoth, "[false]",
     "takes only false: a stop text is never part of the answer"},
    {"messages", kEmbeddings, "[]", "is not supported for embeddings; send the text as input"},
    {"embed_dtype", kEmbeddings, "[\"float32\"]", "takes only \"float32\""},
    {"endianness", kEmbeddings, "[\"native\", \"little\"]", "takes only \"native\" and \"little\""},
    {"truncation_side", kEmbeddings, "[\"left\"]", "takes only \"left\": the end of a text is kept"},
    {"modalities", kChat, "[[\"text\"]]", "takes only [\"text\"]"},
    {"audio", kChat, "[]", "is not supported; folio answers in text"},
    {"prediction", kChat, "[]", "is not supported; leave it out", RefusedField::Changes::kNothing},
    {"web_search_options", kChat, "[]", "is not supported; folio reaches no network"},
    {"moderation", kBoth, "[]", "is not supported; leave it out"},
    {"service_tier", kBoth, "[\"auto\", \"default\"]", "takes only \"auto\" and \"default\"",
     RefusedField::Changes::kNothing},
    {"store", kBoth, "[false]", "takes only false: folio keeps no answers", RefusedField::Changes::kNothing},
    {"kv_transfer_params", kBoth, "[]", "is not supported; leave it out"},
    {"vllm_xargs", kBoth, "[{}]", "is not supported; leave it out"},
};

}  // namespace

std::span<const RefusedField> refused_fields() { return kRefused; }

}  // namespace folio::api
