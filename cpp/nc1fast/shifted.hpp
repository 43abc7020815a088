// The survival function of the normal distribution, and the ReLU that begins at a threshold.
#pragma once

#include "nc1fast/dual.hpp"

namespace nc1fast {
namespace math {

// Q(x) e^(x^2/2) (x + 4) for x >= 0, in (x - 4)/(x + 4).     6e-19 | 2.1e-8
template <class T>
struct TailTable {
  double c[26] = {0.755285130415751492,    -0.607896641971892125,    0.387137400742214917,    -0.186521857959654829,
                  0.0603965748909178723,   -0.00754018896682523998,  -0.00347969236704797363, 0.00163081845939458598,
                  0.000133344309411832544, -0.000231094953240194385, -1.90824635141457105e-6, 0.0000351447947875335531,
                  7.16658764119512099e-7,  -5.92058651955689084e-6,  -6.29836733849236905e-7, 1.02256041582960377e-6,
                  2.72462969511458721e-7,  -1.56502364619931066e-7,  -8.68664701599789276e-8, 1.46307274056511747e-8,
                  2.14276038434523559e-8,  1.43299184010886129e-9,   -3.73064508186837028e-9, -8.54652189988014714e-10,
                  3.40331230864949465e-10, 1.17547899148077403e-10};
};
template <>
struct TailTable<float> {
  float c[11] = {0.7552851305f,    -0.6078964038f,    0.3871373939f,    -0.1865267109f,
                 0.06039664828f,   -0.007512231382f,  -0.003479954637f, 0.001563786899f,
                 0.0001336533871f, -0.0001573205696f, -1.731082301e-6f};
};

// Q(x) = P(X > x) of a standard normal X. Its relative error is x^2/2 roundings, by those of x^2.
template <class V>
NC1FAST_HD inline V tail(V x) {
  using T = Lane<V>;
  const V y = abs(x), shifted = y + T(4);
  const V upper = exp(T(-0.5) * y * y).exp() * poly(V((y - T(4)) / shifted), TailTable<T>{}.c) / shifted;
  return x < T(0) ? T(1) - upper : upper;
}

// Gauss-Legendre nodes and weights on [0, 1].
template <class T>
struct UnitRule {
  double x[16] = {0.0052995325041750337, 0.027712488463383712, 0.0671843988060841281, 0.122297795822498483,
                  0.191061877798678126,  0.270991611171386307, 0.359198224610370543,  0.45249374508118128,
                  0.54750625491881872,   0.640801775389629457, 0.729008388828613693,  0.808938122201321874,
                  0.877702204177501517,  0.932815601193915872, 0.972287511536616288,  0.994700467495824966};
  double w[16] = {0.0135762297058770474, 0.0311267619693239464, 0.0475792558412463924, 0.062314485627766936,
                  0.074797994408288366,  0.0845782596975012691, 0.0913017075224617944, 0.0947253052275342481,
                  0.0947253052275342481, 0.0913017075224617944, 0.0845782596975012691, 0.074797994408288366,
                  0.062314485627766936,  0.0475792558412463924, 0.0311267619693239464, 0.0135762297058770474};
};
template <>
struct UnitRule<float> {
  float x[6] = {0.0337652429f, 0.1693953068f, 0.380690407f, 0.619309593f, 0.8306046932f, 0.9662347571f};
  float w[6] = {0.08566224619f, 0.1803807865f, 0.2339569673f, 0.2339569673f, 0.1803807865f, 0.08566224619f};
};

// Owen's T(h, a) = (1/2pi) int_0^a exp(-h^2 (1 + x^2)/2)/(1 + x^2) dx, given tail(|h|) and tail(|a h|). Beyond |a| = 1
// by T(h, a) + T(a h, 1/a) = [Q(h) + Q(a h)]/2 - Q(h) Q(a h), h, a > 0. Source: Owen (1956).
template <class V>
NC1FAST_HD inline V owen(V h, V a, V tail_h, V tail_ah) {
  using T = Lane<V>;
  constexpr UnitRule<T> rule{};
  const V size = abs(a);
  const auto steep = size > T(1);
  const V b = steep ? T(1) / size : size, g = steep ? h * size : h, half = T(-0.5) * g * g, bb = b * b;
  V sum = splat<V>(0);
  for (int k = 0; k < int(sizeof rule.x / sizeof(T)); ++k) {
    const V square = T(1) + T(rule.x[k] * rule.x[k]) * bb;
    sum += T(rule.w[k]) * exp(half * square).exp() / square;
  }
  const V flat = T(0.5 / pi) * b * sum;
  return copysign(steep ? T(0.5) * (tail_h + tail_ah) - tail_h * tail_ah - flat : flat, a);
}

}  // namespace math

// max(u - t, 0). With h = t/sqrt a, k = t/sqrt b and L = P(X > h, Y > k) at correlation rho:
//   kappa = sqrt(ab) [(rho + hk) L + (1 - rho^2) p2(h, k) - k p(h) Q(x_h) - h p(k) Q(x_k)],  kdot = L,
//   x_h = (k - rho h)/sqrt(1 - rho^2) = a_h h,  L = [Q(h) + Q(k)]/2 - T(h, a_h) - T(k, a_k).
// Checked against quadrature of phi in tests/test_any_activation.py.
struct ShiftedRelu : Smooth {
  static constexpr const char* name = "shifted_relu";
  static constexpr unsigned fields = bit(kS) | bit(kNu) | bit(kRoot);
  static constexpr bool signed_value = false, root_derivative = true, loops = true;
  double threshold;
  NC1FAST_HD explicit ShiftedRelu(double threshold_) : threshold(threshold_) {}

  // s, h = t/s, and s over the root of E phi^2.
  void row(double a, Row<double>& r) const {
    r.s = __builtin_sqrt(a);
    r.nu = threshold / r.s;
    r.h = r.s * __builtin_sqrt(larger(second(r.nu), 0.0));
    r.root = r.s / r.h;
  }

  template <class V>
  NC1FAST_HD Dual<V> dual(Pair<V> p, const Row<V>& i, const Row<V>& j) const {
    using T = Lane<V>;
    const V sine = p.m * (T(2) - p.m), reciprocal = math::rsqrt(sine);  // of the square
    const auto slope = [&](V ratio) { return ((ratio - T(1)) + (p.obtuse ? T(2) - p.m : p.m)) * reciprocal; };
    const V h = i.nu + V{}, k = j.nu + V{}, a_h = slope(i.s / j.s), a_k = slope(j.s / i.s);
    const V tail_h = math::tail(math::abs(h)), tail_k = math::tail(math::abs(k));
    const V x_h = a_h * h, x_k = a_k * k;
    const V beyond_h = math::tail(math::abs(x_h)), beyond_k = math::tail(math::abs(x_k));
    const auto signed_tail = [](V x, V tail) { return x < T(0) ? T(1) - tail : tail; };
    const V both = T(0.5) * (signed_tail(h, tail_h) + signed_tail(k, tail_k)) - math::owen(h, a_h, tail_h, beyond_h) -
                   math::owen(k, a_k, tail_k, beyond_k);
    const V p_h = math::exp(T(-0.5) * h * h).exp(), p_k = math::exp(T(-0.5) * k * k).exp();  // times sqrt(2 pi)
    const V corner = T(0.5 / math::pi) * (sine * reciprocal) * math::exp(T(-0.5) * (h * h + x_h * x_h)).exp();
    const V edges = k * p_h * signed_tail(x_h, beyond_h) + h * p_k * signed_tail(x_k, beyond_k);
    const V bracket = (p.rho + h * k) * both + corner - T(0.39894228040143267794) * edges;
    return {i.root * j.root * bracket, both, splat<V>(0)};
  }

  // Of a unit variance and the threshold h: E phi^2, E phi'^2, and what cancels in the first.
  static double second(double h) { return (1 + h * h) * first(h) - h * density(h); }
  static double first(double h) { return 0.5 * __builtin_erfc(h * 0.70710678118654752440); }
  static double density(double h) { return 0.39894228040143267794 * __builtin_exp(-0.5 * h * h); }
  double of(double a) const { return threshold / __builtin_sqrt(a); }

  double drift(double a, double) const { return a * first(of(a)); }
  double radial(double a) const { return 1 + __builtin_fabs(of(a)) * density(of(a)) / first(of(a)); }
  double swing(double a) const {
    const double moved = __builtin_fabs(of(a)) * density(of(a));  // mass that crosses the kink
    return moved + moved * moved / first(of(a));
  }
  double turn_of(double a) const { return 0.5 / math::pi * __builtin_exp(-0.5 * of(a) * of(a)); }
  double roundings(double a) const {
    const double h = of(a), terms = (2 + h * h) * (1 + h * h) * first(h) + 2 * __builtin_fabs(h) * density(h);
    return 10 * terms / larger(second(h), 1e-300);
  }
};

}  // namespace nc1fast
