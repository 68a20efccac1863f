// What must not compile: numbers that name different things are not mixed up.
// tests/tidy/check_misuse.py puts each part after the text above the first one: that marked RIGHT must compile,
// those marked WRONG must not.
#include <vector>

#include "base/ids.h"

using namespace folio;

void free_block(BlockId block);
std::vector<int> owners;

// RIGHT: every id made, compared and used as what it is
void uses(BlockId block, TokenId token) {
  free_block(BlockId{7});
  owners[raw(block)] = token == TokenId{3} ? raw(token) : 0;
}

// WRONG: a number is no token
TokenId token = 5;

// WRONG: a token is no block
void frees(TokenId token) { free_block(token); }

// WRONG: a token and a block have no order
bool equal(TokenId token, BlockId block) { return token == block; }

// WRONG: the id after this one is nobody in particular
SequenceId next(SequenceId id) { return id + 1; }

// WRONG: a block is no index of something else
int owner(BlockId block) { return owners[block]; }

// WRONG: a number has no number inside
int inside(int number) { return raw(number); }
