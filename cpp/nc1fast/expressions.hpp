// Kernels made of kernels: sums, products and positive multiples of the values of a pair.
//
// An expression is a short program. Each term is a leaf (a kernel of a chain) or combines earlier terms; the last one
// is its value. Between classes a term has k_ij. Within classes it has D2 = k_ii + k_jj - 2 k_ij, with what belongs to
// the two rows: for k = k' k'' and S2 = 2 (k_ii + k_jj) - D2 = |phi_i + phi_j|^2 >= 0,
//   D2 = (D2' S2'' + S2' D2'')/4 + (k'_ii - k'_jj)(k''_ii - k''_jj)/2,
// a sum of terms that do not cancel where both diagonals grow with the length of the row. Shared with CUDA.
#pragma once

#include "nc1fast/pass.hpp"

namespace nc1fast {

// The value of a term for a pair of rows, and how far the roots of its leaves may move it (pairs.hpp), in units of 2
// noise.
template <class V>
struct Between {
  V k, error;
};
// The same as a distance; gap = k_ii - k_jj without cancellation.
template <class V>
struct Within {
  V distance, error, k_i, k_j, gap;
};

template <class V>
NC1FAST_HD inline Between<V> scaled(const Between<V>& x, Lane<V> factor) {
  return {factor * x.k, factor * x.error};
}
template <class V>
NC1FAST_HD inline Between<V> sum_of(const Between<V>& x, const Between<V>& y, Lane<V>) {
  return {x.k + y.k, x.error + y.error};
}
// d(k' k'') = dk' k'' + (k' + dk') dk''
template <class V>
NC1FAST_HD inline Between<V> product_of(const Between<V>& x, const Between<V>& y, Lane<V> unit) {
  return {x.k * y.k, x.error * math::abs(y.k) + y.error * (math::abs(x.k) + unit * x.error)};
}

template <class V>
NC1FAST_HD inline Within<V> scaled(const Within<V>& x, Lane<V> factor) {
  return {factor * x.distance, factor * x.error, factor * x.k_i, factor * x.k_j, factor * x.gap};
}
template <class V>
NC1FAST_HD inline Within<V> sum_of(const Within<V>& x, const Within<V>& y, Lane<V>) {
  return {x.distance + y.distance, x.error + y.error, x.k_i + y.k_i, x.k_j + y.k_j, x.gap + y.gap};
}
template <class V>
NC1FAST_HD inline Within<V> product_of(const Within<V>& x, const Within<V>& y, Lane<V> unit) {
  using T = Lane<V>;
  const V both_x = x.k_i + x.k_j, both_y = y.k_i + y.k_j;
  const V apart_x = larger(splat<V>(0), T(2) * both_x - x.distance),
          apart_y = larger(splat<V>(0), T(2) * both_y - y.distance);
  const V k_x = T(0.5) * math::abs(both_x - x.distance), k_y = T(0.5) * math::abs(both_y - y.distance);
  return {T(0.25) * (x.distance * apart_y + apart_x * y.distance) + T(0.5) * x.gap * y.gap,
          x.error * k_y + y.error * (k_x + unit * x.error), x.k_i * y.k_i, x.k_j * y.k_j,
          T(0.5) * (x.gap * both_y + both_x * y.gap)};
}

// The value of an expression; leaf(n) is that of its n-th leaf. States: Between, Within, or another with the same three
// operations. unit: 2 noise.
template <class State, class Leaf>
NC1FAST_HD inline State value_of_terms(const Term* terms, int n_terms, double unit, const Leaf& leaf) {
  State states[kMaxTerms];
  for (int k = 0; k < n_terms; ++k) {
    const Term& term = terms[k];
    switch (term.operation) {
      case Operation::leaf:
        states[k] = leaf(term.first);
        break;
      case Operation::scale:
        states[k] = scaled(states[term.first], term.factor);
        break;
      case Operation::sum:
        states[k] = sum_of(states[term.first], states[term.second], unit);
        break;
      case Operation::product:
        states[k] = product_of(states[term.first], states[term.second], unit);
        break;
    }
  }
  return states[n_terms - 1];
}

// Of row i, broadcast, and a vector of rows from j on; `at` is where their values lie in a unit, values[n] that of
// output n.
template <class State, class V, class T, class Values>
NC1FAST_HD inline State leaf_state(const Leaf<T>& leaf, const Values& values, std::ptrdiff_t at, std::ptrdiff_t i,
                                   std::ptrdiff_t j) {
  const V value = load<V>(values[leaf.value] + at);
  const V error = leaf.sensitivity < 0 ? splat<V>(0) : load<V>(values[leaf.sensitivity] + at);
  if constexpr (requires(State s) { s.gap; })
    return {value, error, splat<V>(leaf.diagonal[i]), load<V>(leaf.diagonal + j),
            leaf.excess[i] - load<V>(leaf.excess + j)};
  else
    return {value, error};
}

}  // namespace nc1fast
