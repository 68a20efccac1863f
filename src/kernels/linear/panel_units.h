// Where things are in a quantised panel. A panel is one stream of units, each a header and then the codes of
// its groups, so that a kernel reads memory from one end to the other. Offsets are in bytes from the panel's
// beginning; everything is inlined, since nothing may be shared between instruction sets.
//
// Header: rows of 16 halves (one per output), then rows of 16 bytes, filled up to whole lines of 64 bytes.
//
// Codes of a group of G columns (a *line* is 64 bytes [16 outputs][4 columns]: four consecutive columns, a
// quad, of each output together, as the dot instructions want them):
//   int8                 [G / 4] lines, one for each quad
//   nibbles              [G / 8] lines: of line j the low nibbles are quad j, the high ones quad G / 8 + j.
//   For
//                        G = 32 a byte of the panel is a byte of a Q4_0 block.
//   ... and high bits    one more line of 32 / G bits for each quad, quad 0 in the lowest bits: bits 4 and
//                        (G = 16) 5 of the codes
//   pairs                one line of two bits for each of the four quads (G = 16), quad 0 in the lowest
//   ... and nibbles      half a line, nibble i (low ones first) for byte i of the line of pairs: bit q of it
//   is bit
//                        2 of the code in quad q
// The last unit of a panel may hold groups that do not exist; they are zero and not computed.
#pragma once

#include <cstddef>

namespace folio::kernels {

struct UnitLayout {
  std::size_t columns;       // of a group: they share a scale
  std::size_t groups;        // of a unit
  std::size_t group_halves;  // rows of halves that each group has
  std::size_t unit_halves;   // rows of halves that the unit's groups share
  std::size_t bytes;         // rows of bytes that each group has
  std::size_t code_bytes;    // of a group

  [[gnu::always_inline]] constexpr std::size_t halves_bytes() const {
    return (groups * group_halves + unit_halves) * 32;
  }
  [[gnu::always_inline]] constexpr std::size_t header_bytes() const {
    return (halves_bytes() + groups * bytes * 16 + 63) / 64 * 64;
  }
  [[gnu::always_inline]] constexpr std::size_t unit_bytes() const {
    return header_bytes() + groups * code_bytes;
  }
  // Of group g of the panel: its unit, row h of the halves that it has or shares, row b of its bytes, its
  // codes.
  [[gnu::always_inline]] constexpr std::size_t unit_at(std::size_t g) const {
    return g / groups * unit_bytes();
  }
  [[gnu::always_inline]] constexpr std::size_t halves_at(std::size_t g, std::size_t h = 0) const {
    return unit_at(g) + (g % groups * group_halves + h) * 32;
  }
  [[gnu::always_inline]] constexpr std::size_t bytes_at(std::size_t g, std::size_t b = 0) const {
    return unit_at(g) + halves_bytes() + (g % groups * bytes + b) * 16;
  }
  [[gnu::always_inline]] constexpr std::size_t codes_at(std::size_t g) const {
    return unit_at(g) + header_bytes() + g % groups * code_bytes;
  }
};

// Groups of 32 with halves of their own: scales, or scales and minima.
constexpr UnitLayout kQ8_0Units{32, 2, 1, 0, 0, 512};
constexpr UnitLayout kQ4_0Units{32, 2, 1, 0, 0, 256};  // also IQ4_NL and MXFP4
constexpr UnitLayout kQ4_1Units{32, 1, 2, 0, 0, 256};
constexpr UnitLayout kQ5_0Units{32, 2, 1, 0, 0, 320};
constexpr UnitLayout kQ5_1Units{32, 1, 2, 0, 0, 320};
// A unit is a block of 256: halves d and dmin, and of each group a byte for the scale and one for the
// minimum.
constexpr UnitLayout kQ4_KUnits{32, 8, 0, 2, 2, 256};
constexpr UnitLayout kQ5_KUnits{32, 8, 0, 2, 2, 320};
// The same with halves d, and of each group one byte, the scale.
constexpr UnitLayout kQ6_KUnits{16, 16, 0, 1, 1, 192};
constexpr UnitLayout kQ3_KUnits{16, 16, 0, 1, 1, 96};
constexpr UnitLayout kIQ4_XSUnits{32, 8, 0, 1, 1, 256};
// Halves d and dmin, and one byte with a nibble for the scale and one for the minimum.
constexpr UnitLayout kQ2_KUnits{16, 16, 0, 2, 1, 64};

// The tables of the nibble types: kBell is IQ4_NL's, kE2M1 holds the eight magnitudes of OCP Microscaling's
// E2M1 and their negatives times two, so that all are integers; its minus zero counts as plus zero.
constexpr signed char kBell[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
constexpr signed char kE2M1[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

}  // namespace folio::kernels
