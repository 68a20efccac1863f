#include "sampling/token_history.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <map>

namespace folio::sampling {
namespace {

using Counts = std::map<TokenId, std::pair<std::uint32_t, std::uint32_t>>;

Counts counts_of(const TokenHistory& history) {
  Counts counts;
  for (const TokenHistory::Entry& entry : history.entries())
    EXPECT_TRUE(counts.insert({entry.token, {entry.in_prompt, entry.in_output}}).second) << "listed twice";
  return counts;
}

TEST(TokenHistory, CountsAsItGoesWhatCountingAtOnceGives) {
  EXPECT_TRUE(rc::check("incremental counts", [] {
    const auto tokens = *rc::gen::scale(
        5.0, rc::gen::container<std::vector<int>>(rc::gen::oneOf(
                 rc::gen::inRange(0, 10), rc::gen::inRange(0, 128'000), rc::gen::inRange(-5, 5))));
    TokenHistory history;
    if (*rc::gen::arbitrary<bool>()) history.reserve(*rc::gen::inRange<std::size_t>(0, 200));
    Counts expected;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const auto token = static_cast<TokenId>(tokens[i]);
      if (i % 3 == 0) {
        history.add_prompt({&token, 1});
        ++expected[token].first;
      } else {
        history.add_output(token);
        ++expected[token].second;
      }
      RC_ASSERT(counts_of(history) == expected);
    }
    history.clear();
    RC_ASSERT(history.entries().empty());
    history.add_output(TokenId{3});
    RC_ASSERT(counts_of(history) == (Counts{{TokenId{3}, {0u, 1u}}}));
  }));
}

}  // namespace
}  // namespace folio::sampling
