// One pair of rows, or a vector of them: from its chord to the values of the outputs of a chain. Shared with CUDA.
#pragma once

#include "nc1fast/pass.hpp"

namespace nc1fast {

inline constexpr int kLiftRoundings = 3;  // of f and g, in those of a packed row

// What is kept of the product of two rows. t = |u_i - u_j|^2/2 (centred rows), or for unit rows m = halves - |product|
// with the sign of the product; halves = |u_i|^2/2 + |u_j|^2/2. Below 0 by rounding alone: its size is as good as 0.
template <bool Signed, class V>
NC1FAST_HD inline V chord(V product, V halves) {
  if constexpr (Signed) return math::copysign(halves - math::abs(product), product);
  return math::abs(halves - product);
}

// The quantities of row i, broadcast, and of a vector of rows from j on.
template <class V, class T>
struct PairOfRows {
  const T* const (*fields)[kFields];
  std::ptrdiff_t i, j;
  const T* const* series = nullptr;  // per layer, as Chain::series; those of the two rows from there on
  std::ptrdiff_t i_series = 0, j_series = 0, stride = 0;
  template <class R>
  struct Two {
    R i, j;
  };
  NC1FAST_HD V one(int l, Field k) const { return splat<V>(fields[l][k][i]); }
  NC1FAST_HD V many(int l, Field k) const { return load<V>(fields[l][k] + j); }
  NC1FAST_HD Two<Row<V>> at(int l) const {
    return {
        {one(l, kS), one(l, kH), one(l, kNu), one(l, kO), one(l, kRoot), one(l, kDs), one(l, kDh), one(l, kDnu),
         one(l, kDalpha), one(l, kCosAlpha), one(l, kDbeta), series ? series[l] + i_series : nullptr, stride},
        {many(l, kS), many(l, kH), many(l, kNu), many(l, kO), many(l, kRoot), many(l, kDs), many(l, kDh), many(l, kDnu),
         many(l, kDalpha), many(l, kCosAlpha), many(l, kDbeta), series ? series[l] + j_series : nullptr, stride}};
  }
  NC1FAST_HD Two<Link<V>> links(int l) const {
    return {{one(l, kF), one(l, kG), one(l, kDf), one(l, kDg)}, {many(l, kF), many(l, kG), many(l, kDf), many(l, kDg)}};
  }
};

// The chord of two rows with their bias, from the chord of the rows without: rho' = f_i f_j rho + g_i g_j, f^2 + g^2 =
// 1, by terms that do not cancel.
template <bool Signed, class V, class T>
NC1FAST_HD inline V lifted(const T* const (&lift)[4], std::ptrdiff_t i, std::ptrdiff_t j, V chord) {
  const V f = splat<V>(lift[0][i]), f_j = load<V>(lift[0] + j), ff = f * f_j;
  if constexpr (Signed) {
    const V g = splat<V>(lift[1][i]), g_j = load<V>(lift[1] + j), m = math::abs(chord);
    const auto obtuse = math::negative(chord);  // of opposite rows it is -0
    const V minus = half_chord_between(V(f - f_j), V(g - g_j)) + ff * (obtuse ? T(2) - m : m);
    const V plus = half_chord_between(V(f - f_j), V(g + g_j)) + ff * (obtuse ? m : T(2) - m);
    return math::copysign(smaller(minus, plus), plus - minus);
  } else {
    const V df = lift[2][i] - load<V>(lift[2] + j), dg = lift[3][i] - load<V>(lift[3] + j);
    return half_chord_between(df, dg) + ff * chord;
  }
}

// The pair of a chord: one with its sign between classes, a half-chord t within them.
template <Form F, class V>
NC1FAST_HD inline Pair<V> pair_of(V chord) {
  if constexpr (is_distance(F)) return pair_of_half_chord(chord);
  return pair_of_sign(chord, math::abs(chord));
}

// The state that a form starts from a chord with.
template <Form F, bool Tangent, class V>
NC1FAST_HD inline auto state_of(V chord) {
  if constexpr (F == Form::covariance || F == Form::plain_distance)
    return Covariance<V, Tangent>(pair_of<F>(chord));
  else if constexpr (is_polynomial(F))
    return RectifierTangent<V, F == Form::rectifier_both>{pair_of<F>(chord)};
  else if constexpr (F == Form::rectifier_distance)
    return RectifierDistance<V, Tangent>(chord);
  else
    return ErfDistance<V, Tangent>(chord);
}

// What that state evaluates.
template <Form F, class Act, class T>
NC1FAST_HD inline auto dual_of_form(const Act& act, const Chain<T>& chain) {
  if constexpr (is_polynomial(F))
    return WithTangent<Act, T>{act, chain.polynomial};
  else
    return act;
}

// How far the angle theta of a pair may be off, in units of 2 noise: theta moves by at most 2 e/sqrt(max(m, e)) where
// m = 1 - |cos theta| does by e (here in units of noise), and by as much as its rows are displaced. Of: a chain, or
// what is read of it.
template <class V, class Of>
NC1FAST_HD inline V angle_error(const Of& chain, V m, V e, V displaced) {
  return e * math::rsqrt_above(larger(chain.noise * e, m)) + chain.displacement * displaced;
}

// Error of a kernel with a root at rho = +-1, in units of 2 noise mu_i mu_j, which bounds its slope in the angle. Where
// values themselves have the root (sign, step), errors pass one in every layer: they are followed along the recursion.
template <Form F, class V, class Act, class Of, class Rows>
NC1FAST_HD inline V sensitivity_of(const Act& act, const Of& chain, int level, V chord, const Rows& rows) {
  using T = Lane<V>;
  const std::ptrdiff_t i = rows.i, j = rows.j;
  V halves = chain.half_norms[i] + load<V>(chain.half_norms + j);
  V displaced = chain.displacements[i] + load<V>(chain.displacements + j);
  const Pair<V> pair = pair_of<F>(chord);
  if (chain.lift[0]) {  // roundings of f and g move the row, those of its chord are a share of it
    halves = chain.lift[0][i] * load<V>(chain.lift[0] + j) * halves + pair.m;
    displaced *= T(kLiftRoundings);
  }
  V e = halves + chain.least;
  // Half-chords of opposite rows are off by what these are too long.
  if constexpr (is_distance(F)) e += pair.obtuse ? T(4) * chain.displacement * displaced : splat<V>(0);
  V error = angle_error(chain, pair.m, e, displaced);
  if constexpr (Act::root_value) {
    const T unit = T(2) * chain.noise;
    Covariance<V, false> state(pair);
    for (int l = 0; l < level; ++l) {
      state.dual(act, chain.recursion, l, rows);
      error = smaller(splat<V>(T(2) / unit), T(Act::root_slope) * error + state.m);  // of the value, at most 2
      if (l + 1 == level) break;
      const auto [from, to] = rows.links(l);
      state.descend(act, l, rows);
      e = unit * (from.f * to.f * error + state.p.m);
      error = T(2) / unit * e * math::rsqrt_above(larger(e, state.p.m));
    }
  }
  return error;
}

// Output o of a chain, which is `out`, from the level that it is taken at and the chord of the pair. A sensitivity only
// where values have roots.
template <Form F, class Act, class V, class T, class Rows>
NC1FAST_HD inline V value_of(const Act& act, const Chain<T>& chain, int o, const Output<T>& out, const Level<V>& x,
                             V chord, const Rows& rows) {
  if constexpr (Act::root_value)
    if (out.quantity == Quantity::sensitivity) {
      const T* mu = chain.sensitivities[o];
      return mu[rows.i] * load<V>(mu + rows.j) * sensitivity_of<F>(act, chain, out.level, chord, rows);
    }
  constexpr bool distance = F == Form::rectifier_distance || F == Form::erf_distance;
  const V value =
      out.quantity == Quantity::tangent ? x.tangent : out.alpha * x.covariance + (distance ? T(0) : out.beta);
  if constexpr (F == Form::plain_distance) {
    const T* k = chain.diagonals[o];
    return (k[rows.i] + load<V>(k + rows.j)) - T(2) * value;
  }
  return value;
}

template <class A, class B>
inline constexpr bool kSame = false;
template <class A>
inline constexpr bool kSame<A, A> = true;

template <class Act>
inline constexpr bool kIsRectifier = kSame<Act, Relu> || kSame<Act, LeakyRelu> || kSame<Act, Abs>;

// visit.template operator()<F>() for the form F by number; false where the activation has no such form.
template <Form... F, class Visit>
NC1FAST_HD inline bool visit_one_of(Form form, const Visit& visit) {
  return ((form == F && (visit.template operator()<F>(), true)) || ...);
}
template <class Act, class Visit>
NC1FAST_HD inline bool visit_form(Form form, const Visit& visit) {
  if constexpr (kIsRectifier<Act>)
    return visit_one_of<Form::covariance, Form::rectifier_distance, Form::rectifier_tangent, Form::rectifier_both>(
        form, visit);
  else if constexpr (kSame<Act, Erf>)
    return visit_one_of<Form::covariance, Form::plain_distance, Form::erf_distance>(form, visit);
  else
    return visit_one_of<Form::covariance, Form::plain_distance>(form, visit);
}

// visit.template operator()<Act>() for the activation that is number `index` of a list.
template <class... Act, class Visit>
NC1FAST_HD inline void visit_activation(List<Act...>, int index, const Visit& visit) {
  int k = 0;
  (void)((k++ == index && (visit.template operator()<Act>(), true)) || ...);
}

// Its number by name; -1 where there is none.
template <class... Act>
constexpr int activation_index(List<Act...>, const char* name) {
  int k = 0, found = -1;
  ((__builtin_strcmp(Act::name, name) == 0 ? void(found = k++) : void(k++)), ...);
  return found;
}

}  // namespace nc1fast
