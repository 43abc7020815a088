// Why the bits of a sum depend on no schedule: what is added is an integer, and integer addition is exact. The only
// rounding is of one double per panel pair and class pair. Shared with CUDA.
//
// A double x with |x| < 2^e becomes the nearest integer to x 2^(120 - e) (block sums, 128 bits); a row sum becomes
// that to x row column, of 64 bits (Scales).
//
// Neither can wrap. 2^e bounds the sum of |k_ij| over all pairs of two classes, with 1 % to spare for the rounding of
// values (scales.hpp), so that every partial sum, in any order, is below 2^120 and 1/2 for each unit in it: 2^126 units
// have room. Row sums have 2^61 of 2^63 in the same way. Diagonals are at most 1e100 (scan.cpp), so that e is far from
// the end of what a double can scale by.
#pragma once

#include "nc1fast/pass.hpp"

namespace nc1fast {

NC1FAST_HD inline double power_of_two(int n) {  // -1022 <= n <= 1023
  const std::int64_t bits = std::int64_t(n + 1023) << 52;
  double x;
  __builtin_memcpy(&x, &bits, sizeof x);
  return x;
}

// The integer nearest to y, of one double or of a vector; from 2^51 on y itself, a multiple of 1/2, to be truncated.
template <class V>
NC1FAST_HD inline V nearest(V y) {
  constexpr double shift = 0x1.8p52;
  const auto has_fraction = (y < 0x1p51) & (y > -0x1p51);
  return has_fraction ? (y + shift) - shift : y;
}

// False where x is NaN or beyond its bound.
NC1FAST_HD inline bool as_integer(double x, int e, Int128& integer) {
  const double y = x * power_of_two(120 - e);
  if (!(__builtin_fabs(y) <= 0x1p121)) return false;
  const double high = double(std::int64_t(y * 0x1p-60));
  integer = (Int128(std::int64_t(high)) << 60) + Int128(std::int64_t(nearest(y - high * 0x1p60)));
  return true;
}

NC1FAST_HD inline std::int64_t as_integer(double x, double row, double column) {
  return std::int64_t(nearest(x * row * column));
}

}  // namespace nc1fast
