// From the chords of a unit to the values of a chain's outputs: thread c has column c, row after row. The activation is
// one switch for the whole block.
#pragma once

#include <utility>

#include "lanes.hpp"
#include "nc1fast/pairs.hpp"
#include "work.hpp"

namespace nc1fast::device {

// Outputs [begin, end) of a chain, whose values lie in units of their own, one after the other.
struct Outputs {
  int begin, end;
};

// Row i and column j of one entry. With one hidden layer what belongs to the column stays in registers.
template <class T, bool Deep>
struct Entry {
  using Pair = PairOfRows<T, T>;
  Pair pair;
  Row<T> own;
  __device__ typename Pair::template Two<Row<T>> at(int l) const {
    auto two = pair.at(l);
    if constexpr (!Deep) two.j = own;
    return two;
  }
  __device__ typename Pair::template Two<Link<T>> links(int l) const { return pair.links(l); }
};

// Rows that a thread takes side by side: one where they would stay a loop, whose states then lie in memory.
template <class Act, int Wanted>
inline constexpr int side_by_side = Act::loops ? 1 : Wanted;

// emit(level, row, Level, chord) for the rows of column `thread()`, G at a time: constants are loaded once for all of
// them, and their operations overlap.
template <int G, class T, class Act, Form F, bool Tangent, bool Deep, class Emit>
__device__ __forceinline__ void walk_column(const Act& act, const Chain<T>& chain, int p, int q, const T* chords,
                                            const Emit& emit) {
  const int c = thread();
  const auto dual = dual_of_form<F>(act, chain);
  const std::ptrdiff_t i = std::ptrdiff_t(p) * kWidth, j = std::ptrdiff_t(q) * kWidth + c;
  const Row<T> own = PairOfRows<T, T>{chain.fields, i, j}.at(0).j;
  for (int r = 0; r < kWidth; r += G)
    [&]<int... V>(std::integer_sequence<int, V...>) __attribute__((always_inline)) {
      const T chord[] = {chords[(r + V) * kWidth + c]...};  // the values may take their place
      const Entry<T, Deep> rows[] = {{{chain.fields, i + r + V, j}, own}...};
      decltype(state_of<F, Tangent>(T{})) states[] = {state_of<F, Tangent>(chord[V])...};
      walk<Tangent && !is_polynomial(F), Deep>(states, dual, chain.recursion, rows,
                                               [&](int level, int v, const Level<T>& x)
                                                   __attribute__((always_inline)) { emit(level, r + v, x, chord[v]); });
    }(std::make_integer_sequence<int, G>{});
}

// One output of one hidden layer, the common case, has loops of its own, and so have the two of rectifier_both.
template <class T, class Act, Form F, bool Tangent, bool Deep>
__device__ __forceinline__ void values_of(const Chain<T>& chain, int p, int q, const T* chords, Outputs outputs,
                                          T* values) {
  using Pairs = PairOfRows<T, T>;
  const int c = thread();
  const Act act(chain.parameter);
  const std::ptrdiff_t i = std::ptrdiff_t(p) * kWidth, j = std::ptrdiff_t(q) * kWidth + c;
  if constexpr (F == Form::rectifier_both) {
    const Output<T> first = chain.outputs[0], second = chain.outputs[1];
    walk_column<4, T, Act, F, Tangent, Deep>(
        act, chain, p, q, chords, [&](int, int r, const Level<T>& x, T chord) __attribute__((always_inline)) {
          const Pairs rows{chain.fields, i + r, j};
          values[r * kWidth + c] = value_of<F>(act, chain, 0, first, x, chord, rows);
          values[(kWidth + r) * kWidth + c] = value_of<F>(act, chain, 1, second, x, chord, rows);
        });
  } else {
    if constexpr (!Deep) {
      Output<T> alone = chain.outputs[outputs.begin];
      if (outputs.end == outputs.begin + 1 && alone.quantity != Quantity::sensitivity) {
        const bool tangent = F == Form::rectifier_tangent || (Tangent && alone.quantity == Quantity::tangent);
        alone.quantity = tangent ? Quantity::tangent : Quantity::covariance;
        walk_column<side_by_side<Act, 4>, T, Act, F, Tangent, Deep>(
            act, chain, p, q, chords, [&](int level, int r, const Level<T>& x, T chord) __attribute__((always_inline)) {
              if (Tangent && !is_polynomial(F) && level != alone.level) return;
              values[r * kWidth + c] =
                  value_of<F>(act, chain, outputs.begin, alone, x, chord, Pairs{chain.fields, i + r, j});
            });
        return;
      }
    }
    walk_column<side_by_side<Act, Deep ? 2 : 1>, T, Act, F, Tangent, Deep>(
        act, chain, p, q, chords, [&](int level, int r, const Level<T>& x, T chord) __attribute__((always_inline)) {
          const int first = chain.first_output[level], last = chain.first_output[level + 1];
#pragma unroll 1
          for (int o = first > outputs.begin ? first : outputs.begin; o < last && o < outputs.end; ++o) {
            const Output<T> out = chain.outputs[o];
            const bool itself = Act::root_value && out.quantity == Quantity::sensitivity && p == q && r == c;
            values[((o - outputs.begin) * kWidth + r) * kWidth + c] =
                itself ? T(0) : value_of<F>(act, chain, o, out, x, chord, Pairs{chain.fields, i + r, j});
          }
        });
  }
}

// The chords that a chain starts from: where its rows have a bias of their own, each in the place of its column's
// thread in `to`, else those given.
template <bool Within, class T>
__device__ __forceinline__ const T* own_chords(const Chain<T>& chain, int p, int q, const T* chords, T* to) {
  if (!chain.lift[0]) return chords;
  const int c = thread();
  const std::ptrdiff_t i = std::ptrdiff_t(p) * kWidth, j = std::ptrdiff_t(q) * kWidth + c;
  for (int r = 0; r < kWidth; ++r) to[r * kWidth + c] = lifted<!Within>(chain.lift, i + r, j, chords[r * kWidth + c]);
  return to;
}

// chords: those that the chain starts from. Within: the forms of tiles within classes, else those between them. A unit
// off the diagonal has p != q.
template <bool Within, bool Deep, class T>
__device__ __forceinline__ void values(const Chain<T>& chain, int p, int q, const T* chords, Outputs outputs,
                                       T* values) {
  Kind kind = chain.kind;
  if (kind.form == Form::rectifier_both && outputs.end == outputs.begin + 1) {  // as a chain of its own
    kind.tangent = outputs.begin > 0;
    kind.form = kind.tangent ? Form::rectifier_tangent : Form::covariance;
  }
  visit_activation(Activations{}, kind.activation, [&]<class Act>() __attribute__((always_inline)) {
    if constexpr (!Act::is_series)  // the host refuses a series: its coefficients are not on a device
      visit_form<Act>(kind.form, [&]<Form F>() __attribute__((always_inline)) {
        if constexpr (Within == is_distance(F) && !(Deep && is_of_one_layer(F))) {
          if (kind.tangent)
            values_of<T, Act, F, true, Deep>(chain, p, q, chords, outputs, values);
          else if constexpr (!is_polynomial(F))
            values_of<T, Act, F, false, Deep>(chain, p, q, chords, outputs, values);
        }
      });
  });
}

// An activation whose values have no root; which one it is does not matter to the errors of the kernels that have.
struct Rootless {
  static constexpr bool root_value = false;
};

// What a kernel's root adds to the errors of this thread's column: from the chords each time, as dear as a value to be
// held. Pointers and numbers of the chain (Chain) are its own, so that they are read once.
template <bool Within, class T>
struct RootColumn {
  const T *mu, *chords, *half_norms, *displacements, *lift[1];
  T noise, least, displacement;
  std::ptrdiff_t i, j;  // first row of the unit, and this thread's column
  int itself;           // the row that is this column, or -1: it has no error

  __device__ RootColumn(const Chain<T>& chain, const T* mu, int p, int q, const T* chords)
      : mu(mu),
        chords(chords + thread()),
        half_norms(chain.half_norms),
        displacements(chain.displacements),
        lift{chain.lift[0]},
        noise(chain.noise),
        least(chain.least),
        displacement(chain.displacement),
        i(std::ptrdiff_t(p) * kWidth),
        j(std::ptrdiff_t(q) * kWidth + thread()),
        itself(p == q ? thread() : -1) {}
  __device__ __forceinline__ T operator()(int r) const {
    constexpr Form form = Within ? Form::plain_distance : Form::covariance;
    const PairOfRows<T, T> rows{nullptr, i + r, j};
    const T error = sensitivity_of<form>(Rootless{}, *this, 0, chords[r * kWidth], rows);
    return r == itself ? T(0) : mu[rows.i] * mu[rows.j] * error;
  }
};

}  // namespace nc1fast::device
