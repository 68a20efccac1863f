// Tokenizer and chat template of an opened model, whichever format it has.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"
#include "weights/open.h"

namespace folio::engine {

// A model without a tokenizer gives one that knows ids only (Tokenizer::has_text()).
[[nodiscard]] Result<text::Tokenizer> load_tokenizer(const weights::AnyModel& files);

// The source of the model's own template, nullopt where it has none.
[[nodiscard]] Result<std::optional<std::string>> template_source(const weights::AnyModel& files);

// The model's own template, else ChatTemplate::fallback(). One that cannot be used costs chats only: each is then
// refused with what is wrong with it (ChatTemplate::unusable()).
[[nodiscard]] text::ChatTemplate load_chat_template(const weights::AnyModel& files,
                                                    const text::Tokenizer& tokenizer);

}  // namespace folio::engine
