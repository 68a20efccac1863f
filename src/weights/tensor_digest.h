// TensorDigest: a name for a tensor's content: its type, its shape and every byte.
//
// The bytes are hashed in pieces, by any number of threads, so that whoever reads a tensor for another
// purpose hashes a piece when it is in the processor's cache anyway.
#pragma once

#include <cstddef>
#include <vector>

#include "base/hash.h"
#include "weights/tensor_store.h"

namespace folio::weights {

class TensorDigest {
 public:
  static constexpr std::size_t kPieceRows = 16;  // what a panel of a packed matrix is made of

  // `tensor` outlives the digest.
  explicit TensorDigest(const Tensor& tensor);

  std::size_t pieces() const { return hashes_.size(); }
  // Rows [piece * kPieceRows, (piece + 1) * kPieceRows). Thread rule: any thread, a piece on one thread only.
  void hash_piece(std::size_t piece);
  void hash_all();
  // Requires: every piece was hashed. A function of the tensor alone.
  Hash128 value() const;

 private:
  const Tensor* tensor_;
  std::size_t piece_bytes_;
  std::vector<Hash128> hashes_;
};

}  // namespace folio::weights
