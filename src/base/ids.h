// Strong types for the numbers that must not be mixed up.
#pragma once

#include <cstdint>
#include <type_traits>

namespace folio {

enum class TokenId : std::int32_t {};      // index into a vocabulary
enum class BlockId : std::uint32_t {};     // index of a block in the pool's arena
enum class SequenceId : std::uint64_t {};  // one generation inside the engine

template <typename Id>
  requires std::is_enum_v<Id>
constexpr std::underlying_type_t<Id> raw(Id id) {
  return static_cast<std::underlying_type_t<Id>>(id);
}

}  // namespace folio
