// What a dual activation is given, and what it gives: the numbers of a row, of a pair, of the step between two layers,
// and the traits by which activations differ.
#pragma once

#include <cstddef>

#include "nc1fast/math.hpp"

namespace nc1fast {

// What is known of one row at one layer: s^2 is the variance of its pre-activation; h and nu, o, root = sqrt(o) belong
// to the activation. The differences d.. are to the reference row of the class, formed without cancellation.
template <class V>
struct Row {
  V s, h, nu, o, root;
  V ds, dh, dnu, dalpha, cos_alpha, dbeta;
  const Lane<V>* series = nullptr;  // of an activation given by a series: its coefficients, one every `stride`
  std::ptrdiff_t stride = 0;
};
// What leads from one layer to the next: rho' = f_i f_j value + g_i g_j.
template <class V>
struct Link {
  V f, g, df, dg;
};
// The same, by number: how they are stored, an array each.
enum Field : int { kS, kH, kNu, kO, kRoot, kDs, kDh, kDnu, kDalpha, kCosAlpha, kDbeta, kF, kG, kDf, kDg, kFields };
constexpr unsigned bit(Field f) { return 1u << f; }

// The correlation rho of a pair, m = 1 - |rho|, and whether rho has the sign -.
template <class V>
struct Pair {
  V rho, m;
  math::Mask<V> obtuse;
};
template <class V>
NC1FAST_HD inline Pair<V> pair_of_sign(V sign, V m) {
  return {math::copysign(Lane<V>(1) - m, sign), m, math::negative(sign)};
}

template <class V>
struct Dual {
  V value, derivative;
  V m;  // 1 - |value| without cancellation, for activations with `exact_m`
};

// Relative errors of the value and of the derivative of a series between rows, in units of 2^-53.
struct Missing {
  double value = 0, slope = 0;
};

// Traits, with the defaults that most activations keep.
struct Smooth {
  static constexpr unsigned fields = 0;           // row quantities that dual() reads, besides h
  static constexpr bool exact_m = false;          // value is a correlation and dual() gives m
  static constexpr bool signed_value = true;      // value can be negative
  static constexpr bool root_value = false;       // value moves like the angle near rho = +-1
  static constexpr bool root_derivative = false;  // the derivative does
  static constexpr bool has_derivative = true;
  static constexpr bool value_alone = false;  // value() and chord() cost less than dual() and distance()
  static constexpr double root_slope = 0;     // |d value/d theta|, where the value has a root
  // For u ~ N(0, a) and q = E[phi^2]: E[phi''^2] and E[u^2 phi''^2], without the part that a kink adds; |a dq/da|; and
  // a bound on E[u^2 phi'^2]/(a E[phi'^2]) and on |d log E[phi'^2]/d log a|.
  static double bend(double) { return 0; }
  static double swing(double) { return 0; }
  static double drift(double, double q) { return q; }
  static double radial(double) { return 1; }
  // -d derivative/d theta where it has a root; roundings of a value beside those of every dual activation; and of a
  // series what it leaves out, and what its tables are off by.
  static double turn_of(double) { return 0; }
  static double roundings(double) { return 0; }
  static Missing missing(double) { return {}; }
  static double tabulated() { return 0; }
  static constexpr bool is_series = false;
  static constexpr bool loops = false;  // in dual(), which is long enough to be taken a row or a vector at a time
};

}  // namespace nc1fast
