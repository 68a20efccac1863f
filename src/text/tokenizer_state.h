// What a Tokenizer holds. Private to the files that make tokenizers.
#pragma once

#include <optional>
#include <string_view>

#include "folio_rust.h"
#include "text/tokenizer.h"

namespace folio::text {

struct Tokenizer::State {
  static constexpr std::uint8_t kSpecialFlag = 1;  // FolioTokenTable::flags
  static constexpr std::uint8_t kAddedFlag = 2;

  State() = default;
  explicit State(FolioTokenizer* tokenizer);  // takes ownership
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State();

  [[nodiscard]] std::optional<TokenId> find(std::string_view stored_text) const;
  void refresh_added();   // after the added BOS / EOS changed
  void add_known_ends();  // the added tokens with a known end-of-generation name
  void sort_ends();       // end_of_generation becomes ascending, each id once

  FolioTokenizer* rust = nullptr;
  FolioTokenTable table{nullptr, nullptr, nullptr, 0};
  bool strips_leading_blank = false;
  TokenizerDescription description;
};

}  // namespace folio::text
