// Figures for people.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "app/chat/chat_session.h"
#include "engine/engine.h"

namespace folio::app {

// "512 bytes", "3.7 MB": units of 1024, as memory is.
[[nodiscard]] std::string format_bytes(std::uint64_t bytes);
// "85 ms", "1.25 s".
[[nodiscard]] std::string format_seconds(double seconds);
// "8,192".
[[nodiscard]] std::string format_count(std::uint64_t count);

// "prompt 34 tokens, 16 from the cache; generated 120; first token after 85 ms; prefill 420.1 tok/s;
// decode 61.2 tok/s; KV 10 blocks, 3.5 MB". A rate over no time or no token is "-".
[[nodiscard]] std::string format_stats(const engine::GenerationStats& stats);

// Why an answer ended, where that is news: "; stopped by --max-tokens", "; the context of 2,048 tokens is
// full", ...
[[nodiscard]] std::string format_finish(const Answer& answer, std::size_t context_tokens);

// What /stats prints: totals of the session, the cache's blocks, memory.
[[nodiscard]] std::string format_session(const engine::Engine& engine, const ChatSession& session);

// What --verbose prints after loading.
[[nodiscard]] std::string format_engine(const engine::Engine& engine, const std::string& model_path,
                                        double load_s);

}  // namespace folio::app
