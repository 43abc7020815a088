// Why the bits of a sum depend on no schedule: what is added is an integer, and integer addition is exact. The only
// rounding is of one double per panel pair and class pair. Shared with CUDA.
//
// A double x with |x| < 2^e becomes the integer x 2^(120 - e) (block sums, 128 bits); a row sum becomes
// x row column, of 64 bits (Scales).
#pragma once

#include "nc1fast/pass.hpp"

namespace nc1fast {

NC1FAST_HD inline double power_of_two(int n) {  // -1022 <= n <= 1023
  const std::int64_t bits = std::int64_t(n + 1023) << 52;
  double x;
  __builtin_memcpy(&x, &bits, sizeof x);
  return x;
}

// False where x is NaN or beyond its bound.
NC1FAST_HD inline bool as_integer(double x, int e, Int128& integer) {
  const double y = x * power_of_two(120 - e);
  if (!(__builtin_fabs(y) <= 0x1p121)) return false;
  const double high = double(std::int64_t(y * 0x1p-60));
  integer = (Int128(std::int64_t(high)) << 60) + Int128(std::int64_t(y - high * 0x1p60));
  return true;
}

NC1FAST_HD inline std::int64_t as_integer(double x, double row, double column) {
  return std::int64_t(x * row * column);
}

}  // namespace nc1fast
