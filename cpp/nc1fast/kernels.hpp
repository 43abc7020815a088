// The layer recursion: from the chord of two unit rows to the kernels of every depth asked for.
//
//   Sigma^0 = s_i s_j rho;   Q^l = h_i h_j value(Sigma^l);   Sigma^{l+1} = sb2 + sw2 Q^l
//   Theta^0 = scale Sigma^0 + offset;   Theta^{l+1} = q Q^l + one + theta Theta^l kdot(Sigma^l)
// Sources: Lee et al. (2018); Jacot, Gabriel & Hongler (2018).
//
// `Covariance` evaluates the recursion. `RectifierDistance` and `ErfDistance` evaluate the squared feature distance
// D2 = k_ii + k_jj - 2 k_ij as a sum of terms that do not cancel, from t = |u_i - u_j|^2/2 of rows centred within
// their class: what makes NC1 of collapsed features computable. `PlainDistance` is the difference as written, for
// the activations without such a form. `RectifierTangent` is the tangent kernel that is asked for most, alone or
// beside the NNGP, in a third of the operations of `Covariance`.
#pragma once

#include "nc1fast/activations.hpp"

namespace nc1fast {

inline constexpr int kMaxLevels = 64;  // weight layers

// What one activation computes along the depth, once per pair, for all kernels that share it. T: type of a tile.
template <class T>
struct Recursion {
  int n_duals = 0;  // hidden layers
  T theta_scale = 0, theta_offset = 0;
  T q[kMaxLevels], one[kMaxLevels], theta[kMaxLevels];
};

// One kernel taken from the recursion at `level` = number of duals applied (0: the input).
//   covariance: alpha Q^{level-1} + beta;   tangent: Theta^level
//   sensitivity: bound on the error of a kernel with a root at rho = +-1, pair by pair (pairs.hpp)
enum class Quantity : int { covariance = 0, tangent = 1, sensitivity = 2 };
template <class T>
struct Output {
  int level = 0;
  Quantity quantity = Quantity::covariance;
  T alpha = 1, beta = 0;
};

template <class V>
struct Level {
  V bare;            // what is taken without that of one row: h_i h_j bare; of a D2: itself
  V covariance;      // Q, or its D2
  V tangent;         // Theta, or its D2
  V bare_tangent{};  // h_i h_j bare_tangent + one
};

template <class V>
NC1FAST_HD inline V half_chord_between(V df, V dg) {
  return Lane<V>(0.5) * (df * df + dg * dg);
}

// A recursion is a state per pair of rows: input() gives level 0 (the tangent kernel's), dual(l) level l + 1, and
// descend(l) leads to the next layer. rows.at(l), rows.links(l) -> {i, j} at layer l. `walk` drives G states in
// lockstep, so that the constants of a dual are loaded once for all of them; Deep: more than one hidden layer.
//   emit(level, which state, Level)
template <bool Tangent, bool Deep, int G, class State, class Act, class T, class Rows, class Emit>
NC1FAST_HD inline void walk(State (&states)[G], const Act& act, const Recursion<T>& c, const Rows (&rows)[G],
                            const Emit& emit) {
  if constexpr (Tangent)
    for (int v = 0; v < G; ++v) emit(0, v, states[v].input(c, rows[v]));
  const int n_duals = Deep ? c.n_duals : 1;
  for (int l = 0; l < n_duals; ++l) {
#pragma GCC unroll 8
    for (int v = 0; v < G; ++v) emit(l + 1, v, states[v].dual(act, c, l, rows[v]));
    if constexpr (Deep) {
      if (l + 1 == n_duals) return;
#pragma GCC unroll 8
      for (int v = 0; v < G; ++v) states[v].descend(act, l, rows[v]);
    }
  }
}

template <bool Tangent, class Act, class V>
NC1FAST_HD inline Dual<V> dual_of(const Act& act, Pair<V> p, const Row<V>& i, const Row<V>& j) {
  if constexpr (!Tangent && Act::value_alone)
    return act.value(p, i, j);
  else
    return act.dual(p, i, j);
}

template <class V, bool Tangent>
struct Covariance {
  using T = Lane<V>;
  Pair<V> p;
  V theta{}, value{}, m{};
  NC1FAST_HD explicit Covariance(Pair<V> pair) : p(pair) {}

  template <class Rows>
  NC1FAST_HD Level<V> input(const Recursion<T>& c, const Rows& rows) {
    const auto [i, j] = rows.at(0);
    theta = c.theta_scale * i.s * j.s * p.rho + c.theta_offset;
    return {theta, theta, theta};
  }

  template <class Act, class Rows>
  NC1FAST_HD Level<V> dual(const Act& act, const Recursion<T>& c, int l, const Rows& rows) {
    const auto [i, j] = rows.at(l);
    const Dual<V> d = dual_of<Tangent>(act, p, i, j);
    const V q = i.h * j.h * d.value;
    if constexpr (Tangent && Act::has_derivative) theta = c.q[l] * q + c.one[l] + c.theta[l] * theta * d.derivative;
    value = d.value;
    m = d.m;
    return {d.value, q, theta};
  }

  template <class Act, class Rows>
  NC1FAST_HD void descend(const Act&, int l, const Rows& rows) {
    const auto [from, to] = rows.links(l);
    const V ff = from.f * to.f;
    if constexpr (Act::exact_m) {
      // 1 - rho' and 1 + rho', of which the smaller has its digits.
      const V df = from.f - to.f, chord = value < T(0) ? T(2) - m : m;
      const V minus = half_chord_between(df, from.g - to.g) + ff * chord;
      if constexpr (Act::signed_value) {
        const V plus = half_chord_between(df, from.g + to.g) + ff * (value < T(0) ? m : T(2) - m);
        p = pair_of_sign(V(plus - minus), smaller(minus, plus));
      } else {
        p = {T(1) - minus, minus, math::Mask<V>{}};
      }
    } else {
      const V rho = smaller(splat<V>(1), larger(splat<V>(-1), ff * value + from.g * to.g));
      p = {rho, T(1) - math::abs(rho), rho < T(0)};
    }
  }
};

// Theta^1/(h_i h_j) of one hidden layer of rectifiers where Theta^0 = scale Sigma^0. With w = theta scale/diagonal and
// what `Rectifier` has of its value and derivative,
//   q value + w rho kdot = sqrt(m) [2 q kinked m G(m) - pi turn w (1 - m) E(m)] + (1 - m) side,
//   side = q (kinked + linear) + w diagonal where rho > 0, else w (pi turn - diagonal) - q linear:
// one polynomial, G and E being those of GapTable and TurnTable.
template <class T>
struct TangentPolynomial {
  static constexpr int kTurn = int(sizeof(math::TurnTable<T>{}.c) / sizeof(T)),
                       kGap = int(sizeof(math::GapTable<T>{}.c) / sizeof(T));
  static_assert(kGap <= kTurn);
  T c[kTurn + 1] = {};
  T acute = 0, obtuse = 0;

  TangentPolynomial() = default;
  template <class Act>
  TangentPolynomial(const Act& act, const Recursion<T>& of) {
    const math::GapTable<T> gap;
    const math::TurnTable<T> turn;
    const double q = of.q[0], w = double(of.theta[0]) * of.theta_scale / act.diagonal, pi_turn = math::pi * act.turn;
    const auto turning = [&](int k) { return k >= 0 && k < kTurn ? -0.5 * pi_turn * w * turn.c[k] : 0.0; };
    for (int k = 0; k <= kTurn; ++k) {
      const double kinked = k > 0 && k <= kGap ? q * act.kinked * gap.c[k - 1] : 0.0;
      c[k] = T(kinked + turning(k) - turning(k - 1));
    }
    acute = T(q * (act.kinked + act.linear) + w * act.diagonal);
    obtuse = T(w * (pi_turn - act.diagonal) - q * act.linear);
  }

  // root = 2 sqrt(m). Products and sums alternate: there is one way to contract them.
  template <class V>
  NC1FAST_HD V operator()(Pair<V> p, V root) const {
    const V side = p.obtuse ? splat<V>(obtuse) : splat<V>(acute);
    return root * math::poly(p.m, c) + (side - side * p.m);
  }
};

template <class Act, class T>
struct WithTangent {
  Act act;
  TangentPolynomial<T> tangent;
};

// Theta^1 alone, or Values: with Q, as Rectifier::value has it, from one root.
template <class V, bool Values>
struct RectifierTangent {
  using T = Lane<V>;
  Pair<V> p;
  template <class Act, class Rows>
  NC1FAST_HD Level<V> dual(const WithTangent<Act, T>& of, const Recursion<T>& c, int, const Rows& rows) const {
    const auto [i, j] = rows.at(0);
    const V hh = i.h * j.h, root = math::twice_sqrt(p.m), tangent = of.tangent(p, root);
    const V value = Values ? of.act.value(p, root).value : V{};
    return {value, hh * value, hh * tangent + c.one[0], tangent};
  }
};

template <class V>
NC1FAST_HD inline Pair<V> pair_of_half_chord(V t) {
  using T = Lane<V>;
  const auto obtuse = t > T(1);
  return {T(1) - t, math::abs(obtuse ? T(2) - t : t), obtuse};
}

// Rectifiers of any depth, with biases, NNGP and NTK: with t_Q = 1 - value and r = diagonal - derivative, both >= 0,
//   D2(Q) = (h_i - h_j)^2 + 2 h_i h_j t_Q
//   D2(Theta kdot) = diagonal D2(Theta) + 2 Theta_ij r
//   t' = [(f_i - f_j)^2 + (g_i - g_j)^2]/2 + f_i f_j t_Q
template <class V, bool Tangent>
struct RectifierDistance {
  using T = Lane<V>;
  V t, theta{}, distance{}, chord{};
  NC1FAST_HD explicit RectifierDistance(V half_chord) : t(half_chord) {}

  template <class Rows>
  NC1FAST_HD Level<V> input(const Recursion<T>& c, const Rows& rows) {
    const auto [i, j] = rows.at(0);
    const V ss = i.s * j.s, ds = i.ds - j.ds;
    theta = c.theta_scale * ss * (T(1) - t) + c.theta_offset;
    distance = c.theta_scale * (ds * ds + T(2) * ss * t);
    return {distance, distance, distance};
  }

  template <class Act, class Rows>
  NC1FAST_HD Level<V> dual(const Act& act, const Recursion<T>& c, int l, const Rows& rows) {
    const auto [i, j] = rows.at(l);
    const V hh = i.h * j.h, dh = i.dh - j.dh;
    const auto d = parts(act);
    chord = d.chord;
    const V q = dh * dh + T(2) * hh * chord;
    if constexpr (Tangent) {
      const T diagonal = T(act.diagonal);
      distance = c.q[l] * q + c.theta[l] * (diagonal * distance + T(2) * theta * d.turn);
      theta = c.q[l] * hh * (T(1) - chord) + c.one[l] + c.theta[l] * theta * (diagonal - d.turn);
    }
    return {q, q, distance};
  }

  template <class Act, class Rows>
  NC1FAST_HD void descend(const Act&, int l, const Rows& rows) {
    const auto [from, to] = rows.links(l);
    t = half_chord_between(from.df - to.df, from.dg - to.dg) + from.f * to.f * chord;
  }

 private:
  template <class Act>
  NC1FAST_HD auto parts(const Act& act) const {
    if constexpr (Tangent)
      return act.distance(t);
    else
      return typename Act::template Distance<V>{act.chord(t), V{}};
  }
};

// erf, one hidden layer, every term >= 0. With n_i = nu_i^2 = sin alpha_i, tau = |w_i - w_j|^2/2 of the rows w = nu u,
// m = (n_i + n_j)/2, del = (alpha_i - alpha_j)/2, p = m - tau = sin gamma, sin sigma = m / cos del, beta_i^2 = kdot_ii
// pi/4:
//   D2(Q)          = (8/pi) atan T,   T = (tau + 2 m sin^2(del/2)/cos del) / (cos sigma + cos gamma)
//   D2(Sigma kdot) = (4/pi) [tan sigma sin^2 del/(cos alpha_i cos alpha_j) + 2T/(1 + T^2)/(cos sigma cos gamma)]
//   D2(kdot)       = (4/pi) [(beta_i - beta_j)^2 + 2 sqrt(o_i o_j) X/(c cos gamma (c + cos gamma))],
//                    c^2 = cos alpha_i cos alpha_j,  X = cos^2 gamma - c^2 = sin^2 del + (sin sigma - p)(sin sigma + p)
template <class V, bool Tangent>
struct ErfDistance {
  using T = Lane<V>;
  V t;
  NC1FAST_HD explicit ErfDistance(V half_chord) : t(half_chord) {}

  template <class Rows>
  NC1FAST_HD Level<V> input(const Recursion<T>& c, const Rows& rows) {
    const auto [i, j] = rows.at(0);
    const V ds = i.ds - j.ds, distance = c.theta_scale * (ds * ds + T(2) * i.s * j.s * t);
    return {distance, distance, distance};
  }

  template <class Act, class Rows>
  NC1FAST_HD Level<V> dual(const Act&, const Recursion<T>& c, int l, const Rows& rows) {
    const auto [i, j] = rows.at(l);
    const V step = i.dnu - j.dnu;
    const V tau = T(0.5) * step * step + i.nu * j.nu * t;
    const V m = T(0.5) * (i.nu * i.nu + j.nu * j.nu), rest = T(0.5) * (i.o + j.o);  // m + rest = 1
    const V half = T(0.25) * (i.dalpha - j.dalpha);                                 // del/2, |.| <= pi/8
    const V sin_half = math::sin_small(half), versine = T(2) * sin_half * sin_half;
    const V cos_del = T(1) - versine;
    const V below = larger(T(0.25) * rest, rest - versine);                    // cos del - m >= rest/2
    const V cos_sigma = math::sqrt(below * (cos_del + m));                     // times cos del
    const V outside = rest + tau;                                              // 1 - p
    const V cos_gamma = math::sqrt(larger(rest, outside * (T(2) - outside)));  // 1 - |p| >= rest
    const V numerator = tau * cos_del + m * versine;
    const V denominator = cos_sigma + cos_gamma * cos_del;
    // atan(y/x) as asin of sin = y/h, 1 - sin = x^2/(h (h + y))
    const V square = larger(splat<V>(math::kSmallest<T>), numerator * numerator + denominator * denominator);
    const V hypotenuse = math::sqrt(square);
    const V sine = numerator / hypotenuse;
    const V one_minus = denominator * denominator / (hypotenuse * (hypotenuse + numerator));
    const V q = T(4) * math::asin(sine, one_minus);  // times h_i h_j = 2/pi
    const V hh = i.h * j.h;
    V distance = splat<V>(0);
    if constexpr (Tangent) {
      const V sin_2T = T(2) * sine * (denominator / hypotenuse);
      const V sin_del = T(2) * sin_half * math::sqrt(T(1) - sin_half * sin_half);
      // |del| <= pi/4 max(cos alpha), which rounding of del may exceed where both are tiny.
      const V square_del =
          smaller(T(0.62) * (i.cos_alpha * i.cos_alpha + j.cos_alpha * j.cos_alpha), sin_del * sin_del);
      const V cosines = i.cos_alpha * j.cos_alpha;
      // Cosines are as small as 1/s: products of three of them would vanish in float32.
      const V kdot = (m * (square_del / cosines) * cos_gamma + sin_2T * cos_del) / (cos_sigma * cos_gamma);
      distance = c.q[0] * hh * q + c.theta[0] * c.theta_scale * T(4 / math::pi) * kdot;
      if (c.theta_offset != T(0)) {  // Theta^0 = scale Sigma^0 + offset
        const V root = math::sqrt(cosines);
        const V excess = square_del + numerator * (m + (m - tau) * cos_del) / (cos_del * cos_del);
        const V dbeta = i.dbeta - j.dbeta;
        const V share = i.root * j.root / (root * cos_gamma);
        const V bare = dbeta * dbeta + T(2) * share * (excess / (root + cos_gamma));
        distance += c.theta[0] * c.theta_offset * T(4 / math::pi) * bare;
      }
    }
    return {hh * q, hh * q, distance};
  }
};

}  // namespace nc1fast
