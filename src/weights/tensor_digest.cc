#include "weights/tensor_digest.h"

#include <algorithm>
#include <span>

namespace folio::weights {

TensorDigest::TensorDigest(const Tensor& tensor) : tensor_(&tensor) {
  const std::size_t rows = tensor.rows();
  piece_bytes_ = rows == 0 ? 0 : tensor.data.size() / rows * kPieceRows;
  hashes_.resize((rows + kPieceRows - 1) / kPieceRows);
}

void TensorDigest::hash_piece(std::size_t piece) {
  const std::size_t first = piece * piece_bytes_;
  hashes_[piece] =
      hash128({tensor_->data.subspan(first, std::min(piece_bytes_, tensor_->data.size() - first))});
}

void TensorDigest::hash_all() {
  for (std::size_t piece = 0; piece < pieces(); ++piece) hash_piece(piece);
}

Hash128 TensorDigest::value() const {
  return hash128({std::as_bytes(std::span(&tensor_->type, 1)), std::as_bytes(std::span(tensor_->shape)),
                  std::as_bytes(std::span(hashes_))});
}

}  // namespace folio::weights
