// Chat templates for models that have none. Private to src/text/.
#pragma once

#include <string_view>

namespace folio::text {

// For vocabularies with <|im_start|> and <|im_end|>.
inline constexpr std::string_view kChatMlTemplate =
    "{%- macro text(content) -%}"
    "{%- if content is string -%}{{ content }}"
    "{%- else -%}{%- for part in content if part.type == 'text' -%}{{ part.text }}{%- endfor -%}{%- endif -%}"
    "{%- endmacro -%}"
    "{{- bos_token }}"
    "{%- for message in messages -%}"
    "{{ '<|im_start|>' + message.role + '\\n' + text(message.content) + '<|im_end|>\\n' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}";

// For anything else: the system message as it is, then "User: ..." and "Assistant: ...", an empty line
// between all.
inline constexpr std::string_view kTranscriptTemplate =
    "{%- macro text(content) -%}"
    "{%- if content is string -%}{{ content }}"
    "{%- else -%}{%- for part in content if part.type == 'text' -%}{{ part.text }}{%- endfor -%}{%- endif -%}"
    "{%- endmacro -%}"
    "{{- bos_token }}"
    "{%- for message in messages -%}"
    "{%- if message.role != 'system' -%}{{ message.role | capitalize + ': ' }}{%- endif -%}"
    "{{ text(message.content) + '\\n\\n' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ 'Assistant:' }}{%- endif -%}";

}  // namespace folio::text
