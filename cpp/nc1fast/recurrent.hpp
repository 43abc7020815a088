// The recursion over the steps of two panels of sequences, for infinitely wide recurrent ReLU networks.
//
// Step e counts from the end of a sequence. The pre-activation has the deviation a(e); divided by it, it is a unit
// vector (f phi, z) of the last step's activation and of the input with its bias, f^2 + |z|^2 = 1:
//   1 -+ rho = (f_i - f_j)^2/2 + f_i f_j (1 -+ value) + |z_i -+ z_j|^2/2     no term of which cancels
//   theta    = rho + f_i f_j turned,    turned' = 2 kdot(rho) theta,    value' = value(rho)
//   out      = value (NNGP),  value + turned (NTK), of the last step; times h_i h_j, h^2 = sv2 a(0)^2/2
// f is 0 where a sequence begins, and with it what the other one was before.
// Source: Alemohammad, Wang, Balestriero & Baraniuk (2021), in correlations.
#pragma once

#include "nc1fast/activations.hpp"
#include "nc1fast/inner.hpp"
#include "nc1fast/pass.hpp"

namespace nc1fast {

template <class T, class Isa>
struct Recurrent {
  using V = Vec<T, Isa>;
  static constexpr int kL = kLanes<T, Isa>, kN = kPanel<T, Isa>;
  static constexpr std::ptrdiff_t kUnit = std::ptrdiff_t(kN) * kN;

  // values (kN, kN), and where they are wanted bounds on their errors, of every row of a with every row of b.
  static void unit(const RecurrentPass<T>& pass, const SequencePanel<T>& a, const SequencePanel<T>& b, T* scratch,
                   T* values, T* errors) {
    if (pass.tangent)
      errors ? walk<true, true>(pass, a, b, scratch, values, errors)
             : walk<true, false>(pass, a, b, scratch, values, errors);
    else
      errors ? walk<false, true>(pass, a, b, scratch, values, errors)
             : walk<false, false>(pass, a, b, scratch, values, errors);
  }

 private:
  // What goes from step to step, (kN, kN) each: 1 - value, turned, the sum of all 1 - rho, and bounds on the errors of
  // the first two.
  struct State {
    T *missing, *turned, *apart, *off_value, *off_turned;
    explicit State(T* memory)
        : missing(memory),
          turned(memory + kUnit),
          apart(memory + 2 * kUnit),
          off_value(memory + 3 * kUnit),
          off_turned(memory + 4 * kUnit) {}
  };

  template <bool Tangent, bool Errors>
  static void walk(const RecurrentPass<T>& pass, const SequencePanel<T>& a, const SequencePanel<T>& b, T* scratch,
                   T* values, T* errors) {
    T* chords = scratch;
    const State state(scratch + kUnit);
    for (std::ptrdiff_t n = kUnit; n < kRecurrentUnits * kUnit; ++n) scratch[n] = 0;
    const std::ptrdiff_t size = std::ptrdiff_t(pass.depth) * kN;
    // Before the shorter panel begins, f_j = 0 for all of its rows.
    for (int e = (a.n_steps < b.n_steps ? a.n_steps : b.n_steps) - 1; e >= 0; --e) {
      const std::ptrdiff_t at = std::ptrdiff_t(e) * kN;
      const Soon<T> before{b.rows + (e > 0 ? e - 1 : 0) * size};
      Inner<T, Isa>::template chords<true>(a.rows + e * size, b.rows + e * size, pass.depth, a.half_norms + at,
                                           b.half_norms + at, before, chords);
      for (int r = 0; r < kN; ++r)
        for (int c = 0; c < kN; c += kL)
          step<Tangent, Errors>(pass, a, b, e, r, c, load<V>(chords + r * kN + c), state, values, errors);
    }
  }

  template <bool Tangent, bool Errors>
  [[gnu::always_inline]] static void step(const RecurrentPass<T>& pass, const SequencePanel<T>& a,
                                          const SequencePanel<T>& b, int e, int r, int c, V chord, const State& state,
                                          T* values, T* errors) {
    const std::ptrdiff_t i = std::ptrdiff_t(e) * kN + r, j = std::ptrdiff_t(e) * kN + c,
                         at = std::ptrdiff_t(r) * kN + c;
    const V f_j = load<V>(b.links + j), df = a.links[i] - f_j, ff = a.links[i] * f_j;
    const V near = math::abs(chord), far = T(2) * (a.half_norms[i] + load<V>(b.half_norms + j)) - near;
    const auto obtuse = math::negative(chord);
    const V missing = load<V>(state.missing + at), moved = T(0.5) * df * df;
    const V minus = (moved + ff * missing) + (obtuse ? far : near);
    const V plus = (moved + ff * (T(2) - missing)) + (obtuse ? near : far);
    const V m = smaller(minus, plus);
    const Pair<V> pair = pair_of_sign(V(plus - minus), m);
    const Relu relu(0);
    const Dual<V> dual = dual_of<Tangent>(relu, pair, Row<V>{}, Row<V>{});
    const V apart = load<V>(state.apart + at) + minus;
    V value = dual.value, theta = pair.rho, carried = splat<V>(0), turned = splat<V>(0);
    if constexpr (Tangent) {
      carried = ff * load<V>(state.turned + at);
      theta += carried;
      turned = T(2) * dual.derivative * theta;
      value += turned;
    }
    if constexpr (Errors) {
      const V off = pass.step + ff * load<V>(state.off_value + at);  // of m
      V off_value = off + kRoundings * pass.unit;
      store(state.off_value + at, off_value);
      if constexpr (Tangent) {
        // The angle moves by 2 off/sqrt(max(m, off)) at most, kdot by that over 2 pi.
        V off_turn = T(2 / math::pi) * off * math::rsqrt_above(larger(off, m)) + kRoundings * pass.unit;
        off_turn = smaller(off_turn, splat<V>(1));
        const V off_theta = off + pass.unit + ff * load<V>(state.off_turned + at) + pass.link * math::abs(carried) +
                            pass.unit * math::abs(theta);
        const V off_turned = T(2) * dual.derivative * off_theta + (math::abs(theta) + off_theta) * off_turn +
                             pass.unit * math::abs(turned);
        store(state.off_turned + at, off_turned);
        off_value += off_turned;
      }
      if (e == 0) store(errors + at, V(off_value + pass.unit * math::abs(value)));
    }
    store(state.missing + at, dual.m);
    store(state.turned + at, turned);
    store(state.apart + at, apart);
    if (e == 0)  // equal sequences have the value of the diagonal, to the bit
      store(values + at, V(apart == T(0) ? smaller(splat<V>(a.diagonal[r]), load<V>(b.diagonal + c)) : value));
  }

  static constexpr T kRoundings = 8;  // of a dual activation, as an absolute error
};

}  // namespace nc1fast
