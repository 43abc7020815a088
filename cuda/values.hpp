// From the chords of a unit to the values of a chain's outputs: thread c has column c, row after row. The activation is
// one switch for the whole block.
#pragma once

#include "lanes.hpp"
#include "nc1fast/pairs.hpp"
#include "work.hpp"

namespace nc1fast::device {

// Outputs [begin, end) of a chain, whose values lie in units of their own, one after the other.
struct Outputs {
  int begin, end;
};

template <class T, class Act, Form F, bool Tangent, bool Deep>
__device__ __forceinline__ void values_of(const Chain<T>& chain, int p, int q, const T* chords, Outputs outputs,
                                          T* values) {
  const int c = thread();
  const Act act(chain.parameter);
  const std::ptrdiff_t j = std::ptrdiff_t(q) * kWidth + c;
  for (int r = 0; r < kWidth; ++r) {
    const int at = r * kWidth + c;
    const T chord = chords[at];  // the values may take its place
    const PairOfRows<T, T> rows[1] = {{chain.fields, std::ptrdiff_t(p) * kWidth + r, j}};
    const auto emit = [&](int level, int, const Level<T>& x) __attribute__((always_inline)) {
      const int first = chain.first_output[level], last = chain.first_output[level + 1];
      for (int o = first > outputs.begin ? first : outputs.begin; o < last && o < outputs.end; ++o) {
        const bool itself = p == q && r == c && chain.outputs[o].quantity == Quantity::sensitivity;
        values[(o - outputs.begin) * kWidth * kWidth + at] =
            itself ? T(0) : value_of<F>(chain, o, x, chord, rows[0].i, rows[0].j);
      }
    };
    decltype(state_of<F, Tangent>(T{})) states[1] = {state_of<F, Tangent>(chord)};
    walk<Tangent, Deep>(states, act, chain.recursion, rows, emit);
  }
}

// Within: the forms of tiles within classes, else those between them. A unit off the diagonal has p != q.
template <bool Within, bool Deep, class T>
__device__ __forceinline__ void values(const Chain<T>& chain, int p, int q, const T* chords, Outputs outputs,
                                       T* values) {
  visit_activation(Activations{}, chain.kind.activation, [&]<class Act>() __attribute__((always_inline)) {
    visit_form<Act>(chain.kind.form, [&]<Form F>() __attribute__((always_inline)) {
      if constexpr (Within != (F == Form::covariance) && !(Deep && F == Form::erf_distance)) {
        if (chain.kind.tangent)
          values_of<T, Act, F, true, Deep>(chain, p, q, chords, outputs, values);
        else
          values_of<T, Act, F, false, Deep>(chain, p, q, chords, outputs, values);
      }
    });
  });
}

}  // namespace nc1fast::device
