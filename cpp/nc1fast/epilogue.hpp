// From the chords of a unit to the values of the kernels: one function per activation and form.
#pragma once

#include "nc1fast/pairs.hpp"
#include "nc1fast/vec.hpp"

namespace nc1fast {

// Whether kernels are left without their factors: where no layer above needs them.
constexpr bool is_bare(Form form, bool tangent) {
  return is_polynomial(form) || (!tangent && form != Form::plain_distance);
}

// Those of output o of a chain.
template <class T>
[[gnu::always_inline]] inline Factors<T> factors_of(const Chain<T>& chain, int o) {
  const Output<T>& out = chain.outputs[o];
  if (out.quantity == Quantity::sensitivity) return {chain.sensitivities[o], 1, 0};
  if (!is_bare(chain.kind.form, chain.kind.tangent)) return {};
  if (is_distance(chain.kind.form)) return {nullptr, double(out.alpha), 0};
  const T* h = chain.fields[out.level - 1][kH];
  if (out.quantity == Quantity::tangent) return {h, 1, double(chain.recursion.one[0])};
  return {h, double(out.alpha), double(out.beta)};
}

template <class T, class Isa, class Act, Form F, bool Tangent, bool Deep>
void epilogue(const Chain<T>& chain, int p, int q, const T* chords, T* const* values) {
  using V = Vec<T, Isa>;
  constexpr int kL = kLanes<T, Isa>, kN = kPanel<T, Isa>;
  // With one hidden layer the constants stay in registers anyway, and out-of-order execution overlaps the vectors; a
  // dual activation with a loop of its own has enough to overlap.
  constexpr int kG = Deep && !Act::loops ? kVectors : 1;
  const Act act(chain.parameter);
  const auto dual = dual_of_form<F>(act, chain);
  constexpr bool from_input = Tangent && !is_polynomial(F);
  constexpr bool may_have_root = Act::root_value || (Tangent && Act::root_derivative);
  // Where all outputs are of one level the first, most often the only one, is stored without a loop, to a place that
  // stays in a register: any store could be to the chain, for all that a compiler knows. A twelfth of the time with few
  // features.
  constexpr bool one_level = !Deep && !from_input;
  const int n_outputs = chain.n_outputs;
  T* const first_values = values[0];
  for (int r = 0; r < kN; ++r) {
    const std::ptrdiff_t i = std::ptrdiff_t(p) * kN + r;
    const auto vectors = [&](int first) __attribute__((always_inline)) {
      const auto column = [&](int v) __attribute__((always_inline)) { return (first + v) * kL; };
      const auto chord_of = [&](int v) __attribute__((always_inline)) { return load<V>(chords + r * kN + column(v)); };
      const auto rows_of = [&](int v) __attribute__((always_inline)) {
        PairOfRows<V, T> rows{chain.fields, i, std::ptrdiff_t(q) * kN + column(v)};
        if constexpr (Act::is_series) {
          const std::ptrdiff_t n = chain.n_series;
          rows.series = chain.series;
          rows.i_series = p * n * kN + r;
          rows.j_series = q * n * kN + column(v);
          rows.stride = kN;
        }
        return rows;
      };
      const auto value = [&](int o, int v, const Level<V>& x) __attribute__((always_inline)) {
        const Output<T>& out = chain.outputs[o];
        if constexpr (may_have_root)
          if (out.quantity == Quantity::sensitivity)
            return sensitivity_of<F>(act, chain, out.level, chord_of(v), rows_of(v));
        if constexpr (is_polynomial(F))
          if (F == Form::rectifier_tangent || out.quantity == Quantity::tangent) return x.bare_tangent;
        if constexpr (is_bare(F, Tangent)) return x.bare;
        return value_of<F>(act, chain, o, out, x, chord_of(v), rows_of(v));
      };
      const auto emit = [&](int level, int v, const Level<V>& x) __attribute__((always_inline)) {
        const auto put = [&](int o, T* unit)
                             __attribute__((always_inline)) { store(unit + r * kN + column(v), value(o, v, x)); };
        if constexpr (one_level) {
          put(0, first_values);
          for (int o = 1; o < n_outputs; ++o) put(o, values[o]);
        } else {
          for (int o = chain.first_output[level]; o < chain.first_output[level + 1]; ++o) put(o, values[o]);
        }
      };
      using State = decltype(state_of<F, Tangent>(V{}));
      if constexpr (kG > 1) {
        State states[kVectors] = {state_of<F, Tangent>(chord_of(0)), state_of<F, Tangent>(chord_of(1)),
                                  state_of<F, Tangent>(chord_of(2))};
        const PairOfRows<V, T> rows[kVectors] = {rows_of(0), rows_of(1), rows_of(2)};
        walk<from_input, Deep>(states, dual, chain.recursion, rows, emit);
      } else {
        State states[1] = {state_of<F, Tangent>(chord_of(0))};
        const PairOfRows<V, T> rows[1] = {rows_of(0)};
        walk<from_input, Deep>(states, dual, chain.recursion, rows, emit);
      }
    };
    if constexpr (Act::loops)
      for (int first = 0; first < kVectors; first += kG) vectors(first);
    else
#pragma GCC unroll 3
      for (int first = 0; first < kVectors; first += kG) vectors(first);
  }
}

// The epilogue of a kind; null where its activation has no such form.
template <class T, class Isa>
Epilogue<T> find_epilogue(Kind kind) {
  Epilogue<T> found = nullptr;
  visit_activation(Activations{}, kind.activation, [&]<class Act>() {
    visit_form<Act>(kind.form, [&]<Form F>() {
      if constexpr (is_of_one_layer(F)) {
        if (kind.deep) return;
      } else if (kind.deep) {
        found = kind.tangent ? &epilogue<T, Isa, Act, F, true, true> : &epilogue<T, Isa, Act, F, false, true>;
        return;
      }
      if (kind.tangent)
        found = &epilogue<T, Isa, Act, F, true, false>;
      else if constexpr (!is_polynomial(F))
        found = &epilogue<T, Isa, Act, F, false, false>;
    });
  });
  return found;
}

}  // namespace nc1fast
