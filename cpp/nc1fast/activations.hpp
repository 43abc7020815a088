// The dual activations: for (u, v) ~ N(0, [[a, c], [c, b]]),
//   kappa = E[phi(u) phi(v)] = h_i h_j value,      kdot = E[phi'(u) phi'(v)] = derivative.
//
// One struct per activation. `row` gives what depends on one variance, once per row; `dual` the rest, per pair,
// from rho = c / sqrt(ab) and m = 1 - |rho|. Every form is stable at rho = +-1 and for large and small variances:
// 1 - rho^2 is m (2 - m), never a difference.
// A new activation: a struct here, its name in `Activations`, and its line in python/nc1fast/core/activations.py.
#pragma once

#include "nc1fast/dual.hpp"
#include "nc1fast/series.hpp"
#include "nc1fast/shifted.hpp"

namespace nc1fast {

// max(u, slope u): arc-cosine kernel of degree 1, Cho & Saul (2009), plus its linear part.
template <bool Leaky>
struct Rectifier : Smooth {
  static constexpr bool exact_m = true, signed_value = Leaky, root_derivative = true, value_alone = true;
  double kinked, linear;  // shares of the ReLU and of the linear part in the normalised value
  double diagonal, turn;  // derivative = diagonal - turn theta
  NC1FAST_HD explicit Rectifier(double slope)
      : kinked((1 - slope) * (1 - slope) / (1 + slope * slope)),
        linear(2 * slope / (1 + slope * slope)),
        diagonal((1 + slope * slope) / 2),
        turn((1 - slope) * (1 - slope) / (2 * math::pi)) {}

  void row(double a, Row<double>& r) const { r.h = __builtin_sqrt(a * diagonal); }
  double turn_of(double) const { return turn; }

  template <class V>
  NC1FAST_HD Dual<V> dual(Pair<V> p, const Row<V>&, const Row<V>&) const {
    using T = Lane<V>;
    const math::Arc<V> arc = math::arc(p.m);
    // theta = pi/2 -+ (pi/2 - its acute angle)
    const V acute = math::copysign(T(math::pi / 2) - arc.theta, p.rho);
    return with_gap(p, T(1 / math::pi) * arc.gap, T(diagonal - turn * math::pi / 2) + T(turn) * acute);
  }
  // The same without the derivative; from root = 2 sqrt(m).
  template <class V>
  NC1FAST_HD Dual<V> value(Pair<V> p, V root) const {
    return with_gap(p, math::gap(p.m, root), splat<V>(0));
  }
  template <class V>
  NC1FAST_HD Dual<V> value(Pair<V> p, const Row<V>&, const Row<V>&) const {
    return value(p, math::twice_sqrt(p.m));
  }

  // From the half-chord t = 1 - rho in [0, 2] of a pair: 1 - value, and (diagonal - derivative), both >= 0 and
  // with all the digits of t.
  template <class V>
  struct Distance {
    V chord, turn;
  };
  template <class V>
  NC1FAST_HD Distance<V> distance(V t) const {
    using T = Lane<V>;
    const auto obtuse = t > T(1);
    const math::Arc<V> arc = math::arc(nearer(t));
    const V theta = obtuse ? T(math::pi) - arc.theta : arc.theta;
    return {chord_with_gap(t, T(1 / math::pi) * arc.gap), T(turn) * theta};
  }
  // Its first part alone.
  template <class V>
  NC1FAST_HD V chord(V t) const {
    return chord_with_gap(t, math::gap(nearer(t)));
  }

 private:
  // [sin + (pi - theta) cos]/pi = max(rho, 0) + gap, |rho| = 1 - m.
  template <class V>
  NC1FAST_HD Dual<V> with_gap(Pair<V> p, V gap, V derivative) const {
    using T = Lane<V>;
    const V relu = (p.obtuse ? splat<V>(0) : T(1) - p.m) + gap;
    Dual<V> d{relu, derivative, (p.obtuse ? splat<V>(1) : p.m) - gap};
    if constexpr (Leaky) {
      const V chord = T(kinked) * d.m + T(linear) * (p.obtuse ? T(2) - p.m : p.m);
      d.value = T(kinked) * relu + T(linear) * p.rho;
      d.m = d.value < T(0) ? T(2) - chord : chord;
    }
    return d;
  }
  template <class V>
  NC1FAST_HD V chord_with_gap(V t, V gap) const {
    using T = Lane<V>;
    const V chord = smaller(splat<V>(1), t) - gap;
    if constexpr (Leaky) return T(kinked) * chord + T(linear) * t;
    return chord;
  }
  // Half the chord to the nearer of +-1, for t up to 2 and what rounding adds.
  template <class V>
  NC1FAST_HD static V nearer(V t) {
    using T = Lane<V>;
    return larger(splat<V>(0), smaller(T(2) - t, t));
  }
};

struct Relu : Rectifier<false> {
  static constexpr const char* name = "relu";
  NC1FAST_HD explicit Relu(double) : Rectifier(0) {}
};
struct Abs : Rectifier<true> {
  static constexpr const char* name = "abs";
  NC1FAST_HD explicit Abs(double) : Rectifier(-1) {}
};
struct LeakyRelu : Rectifier<true> {
  static constexpr const char* name = "leaky_relu";
  NC1FAST_HD explicit LeakyRelu(double slope) : Rectifier(slope) {}
};

// 1{u > 0}: arc-cosine kernel of degree 0, Cho & Saul (2009). kdot is infinite on the diagonal.
struct Step : Smooth {
  static constexpr const char* name = "step";
  static constexpr bool exact_m = true, signed_value = false, root_value = true, has_derivative = false;
  static constexpr double root_slope = 1 / math::pi;
  static double drift(double, double) { return 0; }
  NC1FAST_HD explicit Step(double) {}
  void row(double, Row<double>& r) const { r.h = __builtin_sqrt(0.5); }
  template <class V>
  NC1FAST_HD Dual<V> dual(Pair<V> p, const Row<V>&, const Row<V>&) const {
    using T = Lane<V>;
    const math::Arc<V> arc = math::arc(p.m);
    const V turn = T(1 / math::pi) * arc.theta;
    return {p.obtuse ? turn : T(1) - turn, splat<V>(0), p.obtuse ? T(1) - turn : turn};
  }
};

// sign(u): (2/pi) asin rho.
struct Sign : Smooth {
  static constexpr const char* name = "sign";
  static constexpr bool exact_m = true, root_value = true, has_derivative = false;
  static constexpr double root_slope = 2 / math::pi;
  static double drift(double, double) { return 0; }
  NC1FAST_HD explicit Sign(double) {}
  void row(double, Row<double>& r) const { r.h = 1; }
  template <class V>
  NC1FAST_HD Dual<V> dual(Pair<V> p, const Row<V>&, const Row<V>&) const {
    using T = Lane<V>;
    const math::Arc<V> arc = math::arc(p.m);
    const V turn = T(2 / math::pi) * arc.theta;
    return {math::copysign(T(1) - turn, p.rho), splat<V>(0), turn};
  }
};

// max(u, 0)^2: arc-cosine kernel of degree 2; kdot is four times that of degree 1.
struct Relu2 : Smooth {
  static constexpr const char* name = "relu2";
  static constexpr bool signed_value = false;
  static constexpr unsigned fields = bit(kS);
  NC1FAST_HD explicit Relu2(double) {}
  void row(double a, Row<double>& r) const {
    r.s = __builtin_sqrt(a);
    r.h = a * __builtin_sqrt(1.5);
  }
  static double bend(double) { return 2; }
  static double swing(double a) { return 2 * a; }
  static double drift(double, double q) { return 2 * q; }
  static double radial(double) { return 3; }
  template <class V>
  NC1FAST_HD Dual<V> dual(Pair<V> p, const Row<V>& i, const Row<V>& j) const {
    using T = Lane<V>;
    const math::Arc<V> arc = math::arc(p.m);
    const V theta = p.obtuse ? arc.theta : T(math::pi) - arc.theta;  // pi - angle
    const V relu = (p.obtuse ? splat<V>(0) : T(math::pi) * p.rho) + arc.gap;
    return {T(1 / (3 * math::pi)) * (T(3) * arc.sin * p.rho + theta * (T(1) + T(2) * p.rho * p.rho)),
            T(2 / math::pi) * i.s * j.s * relu, splat<V>(0)};
  }
};

// The arcsine family works on n = nu_i nu_j rho, where 1 - |n| = (o_i + o_j)/2 + (nu_i - nu_j)^2/2 + nu_i nu_j m,
// nu^2 + o = 1: no cancellation however large the variances are.
struct Arcsine : Smooth {
  static constexpr unsigned fields = bit(kNu) | bit(kO) | bit(kRoot);
  template <class V>
  NC1FAST_HD static Pair<V> shrink(Pair<V> p, const Row<V>& i, const Row<V>& j) {
    using T = Lane<V>;
    const V scale = i.nu * j.nu, step = i.nu - j.nu;
    return {scale * p.rho, T(0.5) * (i.o + j.o + step * step) + scale * p.m, p.obtuse};
  }
  static void row(double slope_squared_a, Row<double>& r) {
    r.o = 1 / (1 + slope_squared_a);
    r.root = __builtin_sqrt(r.o);
    r.nu = __builtin_sqrt(slope_squared_a * r.o);
  }
};

// erf(u): arcsine kernel, Williams (1997).
struct Erf : Arcsine {
  static constexpr const char* name = "erf";
  NC1FAST_HD explicit Erf(double) {}
  void row(double a, Row<double>& r) const {
    Arcsine::row(2 * a, r);
    r.h = __builtin_sqrt(2 / math::pi);
  }
  template <class V>
  NC1FAST_HD Dual<V> dual(Pair<V> p, const Row<V>& i, const Row<V>& j) const {
    using T = Lane<V>;
    const Pair<V> n = shrink(p, i, j);
    const V cosine = math::rsqrt(n.m * (T(2) - n.m));  // 1/sqrt(1 - n^2)
    return {math::asin(n.rho, n.m), T(4 / math::pi) * (i.root * j.root) * cosine, splat<V>(0)};
  }
  static double bend(double a) { return 16 / math::pi * (a / (1 + 4 * a)) / __builtin_sqrt(1 + 4 * a); }
  static double swing(double a) { return 3 * a / (1 + 4 * a) * bend(a); }
  static double drift(double a, double) { return 4 / math::pi * (a / (1 + 2 * a)) / __builtin_sqrt(1 + 4 * a); }
};

// Phi(u), the normal distribution function.
struct Probit : Arcsine {
  static constexpr const char* name = "probit";
  NC1FAST_HD explicit Probit(double) {}
  void row(double a, Row<double>& r) const {
    Arcsine::row(a, r);
    r.h = 1;
  }
  template <class V>
  NC1FAST_HD Dual<V> dual(Pair<V> p, const Row<V>& i, const Row<V>& j) const {
    using T = Lane<V>;
    const Pair<V> n = shrink(p, i, j);
    const V cosine = math::rsqrt(n.m * (T(2) - n.m));
    return {T(0.25) + T(0.5 / math::pi) * math::asin(n.rho, n.m), T(0.5 / math::pi) * (i.root * j.root) * cosine,
            splat<V>(0)};
  }
  static double bend(double a) { return 0.5 / math::pi * (a / (1 + 2 * a)) / __builtin_sqrt(1 + 2 * a); }
  static double swing(double a) { return 3 * a / (1 + 2 * a) * bend(a); }
  static double drift(double a, double) { return 0.5 / math::pi * (a / (1 + a)) / __builtin_sqrt(1 + 2 * a); }
};

// u Phi(u).  With e = 1 - o_i - o_j, D = (1+a)(1+b) - c^2:
//   kappa = c P + (ab - e c^2)/(2 pi sqrt D),  kdot = P + [c - 2ce + (ab - e c^2) c/D]/(2 pi sqrt D),  P of probit,
// whose bracket is c (o_i + o_j + 1/D): nothing cancels.
struct Gelu : Arcsine {
  static constexpr const char* name = "gelu";
  NC1FAST_HD explicit Gelu(double) {}
  void row(double a, Row<double>& r) const {
    Arcsine::row(a, r);
    r.h = __builtin_sqrt(a);
  }
  template <class V>
  NC1FAST_HD Dual<V> dual(Pair<V> p, const Row<V>& i, const Row<V>& j) const {
    using T = Lane<V>;
    const Pair<V> n = shrink(p, i, j);
    const V probit = T(0.25) + T(0.5 / math::pi) * math::asin(n.rho, n.m);
    const V r = math::rsqrt(n.m * (T(2) - n.m));      // sqrt((1+a)(1+b)/D)
    const V oo = i.o + j.o, q = i.root * j.root * r;  // q^2 = 1/D
    // (ab - e c^2)/sqrt(ab (1+a)(1+b)), where 1 - e rho^2 = (1 - rho^2) + (o_i + o_j) rho^2
    const V rest = i.nu * j.nu * (p.m * (T(2) - p.m) + oo * p.rho * p.rho);
    return {p.rho * probit + T(0.5 / math::pi) * rest * r, probit + T(0.5 / math::pi) * n.rho * r * (oo + q * q),
            splat<V>(0)};
  }
  static double bend(double a) {
    const double v = a / (1 + 2 * a);
    return (4 - 4 * v + 3 * v * v) / (2 * math::pi * __builtin_sqrt(1 + 2 * a));
  }
  static double swing(double a) {
    const double v = a / (1 + 2 * a);
    return v * (4 - 12 * v + 15 * v * v) / (2 * math::pi * __builtin_sqrt(1 + 2 * a));
  }
  static double drift(double a, double q) {
    const double v = a / (1 + a);
    return q + v * v * (2 + 1 / (1 + v)) / (2 * math::pi * __builtin_sqrt((1 + a) * (1 + v)));
  }
  static double radial(double) { return 1.4; }
};

// exp(-u^2): [(1+2a)(1+2b) - 4c^2]^(-1/2).
struct Gaussian : Arcsine {
  static constexpr const char* name = "gaussian";
  NC1FAST_HD explicit Gaussian(double) {}
  void row(double a, Row<double>& r) const {
    Arcsine::row(2 * a, r);
    r.h = r.root;
  }
  template <class V>
  NC1FAST_HD Dual<V> dual(Pair<V> p, const Row<V>& i, const Row<V>& j) const {
    using T = Lane<V>;
    const Pair<V> n = shrink(p, i, j);
    const V r = math::rsqrt(n.m * (T(2) - n.m)), q = i.root * j.root * r;
    return {r, T(2) * n.rho * (q * q) * r, splat<V>(0)};
  }
  static double bend(double a) {
    const double v = a / (1 + 4 * a);
    return (48 * v * v - 16 * v + 4) / __builtin_sqrt(1 + 4 * a);
  }
  static double swing(double a) {
    const double v = a / (1 + 4 * a);
    return v * (240 * v * v - 48 * v + 4) / __builtin_sqrt(1 + 4 * a);
  }
  static double drift(double a, double) { return 2 * (a / (1 + 4 * a)) / __builtin_sqrt(1 + 4 * a); }
  static double radial(double a) { return larger(1.0, 3 / (1 + 4 * a)); }
};

// sin(u) and cos(u):  kappa = e^{-(a+b)/2} sinh c, cosh c; each is the other's kdot. Through
//   e^{c-(a+b)/2} = exp(-(s_i - s_j)^2/2 - s_i s_j (1 - rho)) <= 1 and expm1(-2|c|), so that nothing overflows.
struct Trigonometric : Smooth {
  static constexpr unsigned fields = bit(kS);
  void row(double a, Row<double>& r) const {
    r.s = __builtin_sqrt(a);
    r.h = 1;
  }
  template <class V>
  struct Waves {
    V sin, cos;
  };
  template <class V>
  NC1FAST_HD static Waves<V> waves(Pair<V> p, const Row<V>& i, const Row<V>& j) {
    using T = Lane<V>;
    const V ss = i.s * j.s, step = i.s - j.s;
    const V peak = T(0.5) * math::exp(-(T(0.5) * step * step + ss * p.m)).exp();
    const V fall = math::exp(T(-2) * ss * math::abs(p.rho)).expm1();  // in (-1, 0]
    return {math::copysign(-peak * fall, p.rho), peak * (T(2) + fall)};
  }
};
struct Sin : Trigonometric {
  static constexpr const char* name = "sin";
  NC1FAST_HD explicit Sin(double) {}
  template <class V>
  NC1FAST_HD Dual<V> dual(Pair<V> p, const Row<V>& i, const Row<V>& j) const {
    const Waves<V> w = waves(p, i, j);
    return {w.sin, w.cos, splat<V>(0)};
  }
  static double bend(double a) { return -0.5 * __builtin_expm1(-2 * a); }
  static double swing(double a) { return a * (bend(a) + 2 * a * __builtin_exp(-2 * a)); }
  static double drift(double a, double) { return a * __builtin_exp(-2 * a); }
};
struct Cos : Trigonometric {
  static constexpr const char* name = "cos";
  NC1FAST_HD explicit Cos(double) {}
  template <class V>
  NC1FAST_HD Dual<V> dual(Pair<V> p, const Row<V>& i, const Row<V>& j) const {
    const Waves<V> w = waves(p, i, j);
    return {w.cos, w.sin, splat<V>(0)};
  }
  static double bend(double a) { return 0.5 * (1 + __builtin_exp(-2 * a)); }
  static double swing(double a) { return a * (bend(a) - 2 * a * __builtin_exp(-2 * a)); }
  static double drift(double a, double) { return a * __builtin_exp(-2 * a); }
  static double radial(double a) { return a > 0 ? 1 + 4 * a / __builtin_expm1(2 * a) : 3; }
};

// exp(u): e^{(a+b)/2 + c} = e^a e^b exp(-(s_i - s_j)^2/2 - s_i s_j (1 - rho)); its own kdot.
struct Exponential : Smooth {
  static constexpr const char* name = "exp";
  static constexpr bool signed_value = false;
  static constexpr unsigned fields = bit(kS);
  NC1FAST_HD explicit Exponential(double) {}
  void row(double a, Row<double>& r) const {
    r.s = __builtin_sqrt(a);
    r.h = __builtin_exp(a);
  }
  template <class V>
  NC1FAST_HD Dual<V> dual(Pair<V> p, const Row<V>& i, const Row<V>& j) const {
    using T = Lane<V>;
    const V step = i.s - j.s;
    const V chord = p.obtuse ? T(2) - p.m : p.m;
    const V value = math::exp(-(T(0.5) * step * step + i.s * j.s * chord)).exp();
    return {value, i.h * j.h * value, splat<V>(0)};
  }
  static double bend(double a) { return __builtin_exp(2 * a); }
  static double swing(double a) { return a * (1 + 4 * a) * bend(a); }
  static double drift(double a, double q) { return 2 * a * q; }
  static double radial(double a) { return 1 + 4 * a; }
};

// sin(u) + cos(u): e^{-(a+b)/2 + c} = exp(-(s_i - s_j)^2/2 - s_i s_j (1 - rho)), the RBF kernel of the rows; its own
// kdot.
struct Rbf : Smooth {
  static constexpr const char* name = "rbf";
  static constexpr bool signed_value = false;
  static constexpr unsigned fields = bit(kS);
  NC1FAST_HD explicit Rbf(double) {}
  void row(double a, Row<double>& r) const {
    r.s = __builtin_sqrt(a);
    r.h = 1;
  }
  template <class V>
  NC1FAST_HD Dual<V> dual(Pair<V> p, const Row<V>& i, const Row<V>& j) const {
    using T = Lane<V>;
    const V step = i.s - j.s;
    const V chord = p.obtuse ? T(2) - p.m : p.m;
    const V value = math::exp(-(T(0.5) * step * step + i.s * j.s * chord)).exp();
    return {value, value, splat<V>(0)};
  }
  static double bend(double) { return 1; }
  static double swing(double a) { return a; }
  static double drift(double, double) { return 0; }
};

template <class... Act>
struct List {};
using Activations = List<Relu, LeakyRelu, Abs, Erf, Gelu, Sin, Cos, Step, Sign, Relu2, Exponential, Gaussian, Probit,
                         Rbf, ShiftedRelu, Series>;

}  // namespace nc1fast
