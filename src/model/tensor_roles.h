// Which matrices of a file are the token embedding and the output matrix, by the names of both file formats:
// they are as large as the vocabulary, and treated apart from the layers'.
#pragma once

#include <string_view>

namespace folio::model {

enum class MatrixRole { kLayer, kOutput, kEmbedding };

constexpr MatrixRole role_of(std::string_view tensor) {
  if (tensor == "token_embd.weight" || tensor == "model.embed_tokens.weight") return MatrixRole::kEmbedding;
  if (tensor == "output.weight" || tensor == "lm_head.weight") return MatrixRole::kOutput;
  return MatrixRole::kLayer;
}

}  // namespace folio::model
