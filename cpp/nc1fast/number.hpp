// One number as a lane, on the host: what belongs to single rows is computed with it.
#pragma once

#include "nc1fast/math.hpp"

namespace nc1fast::math {

template <>
struct Ops<double> {
  static double abs(double v) { return __builtin_fabs(v); }
  static double copysign(double magnitude, double sign) { return __builtin_copysign(magnitude, sign); }
  static bool negative(double v) { return __builtin_signbit(v); }
  static double round(double v) { return __builtin_rint(v); }
  static double exp2_int(double n) { return __builtin_ldexp(1.0, int(n)); }
  static double sqrt(double w) { return __builtin_sqrt(w); }
  static double rsqrt(double w) { return 1.0 / __builtin_sqrt(larger(kSmallest<double>, w)); }
  static double twice_sqrt(double w) { return 2 * sqrt(w); }
  static double rsqrt_above(double w) { return kAboveEstimate<double> * rsqrt(w); }
};
}  // namespace nc1fast::math
