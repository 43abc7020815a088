// From the chords of a unit to the values of the kernels: one function per activation and form.
#pragma once

#include "nc1fast/pass.hpp"
#include "nc1fast/vec.hpp"

namespace nc1fast {

// The quantities of row i, broadcast, and of a vector of rows from j on.
template <class V, class T>
struct PairOfRows {
  const T* const (*fields)[kFields];
  std::ptrdiff_t i, j;
  template <class R>
  struct Two {
    R i, j;
  };
  [[gnu::always_inline]] Two<Row<V>> at(int l) const {
    const T* const* f = fields[l];
    const auto one = [&](Field k) __attribute__((always_inline)) { return splat<V>(f[k][i]); };
    const auto many = [&](Field k) __attribute__((always_inline)) { return load<V>(f[k] + j); };
    return {
        {one(kS), one(kH), one(kNu), one(kO), one(kDs), one(kDh), one(kDnu), one(kDalpha), one(kCosAlpha)},
        {many(kS), many(kH), many(kNu), many(kO), many(kDs), many(kDh), many(kDnu), many(kDalpha), many(kCosAlpha)}};
  }
  [[gnu::always_inline]] Two<Link<V>> links(int l) const {
    const T* const* f = fields[l];
    const auto one = [&](Field k) __attribute__((always_inline)) { return splat<V>(f[k][i]); };
    const auto many = [&](Field k) __attribute__((always_inline)) { return load<V>(f[k] + j); };
    return {{one(kF), one(kG), one(kDf), one(kDg)}, {many(kF), many(kG), many(kDf), many(kDg)}};
  }
};

// The state that a form starts from a chord with.
template <class V, Form F, bool Tangent>
[[gnu::always_inline]] inline auto state_of(V chord) {
  using T = Lane<V>;
  if constexpr (F == Form::covariance)
    return Covariance<V, Tangent>({math::copysign(T(1) - math::abs(chord), chord), math::abs(chord)});
  else if constexpr (F == Form::plain_distance)
    return Covariance<V, Tangent>(pair_of_half_chord(chord));
  else if constexpr (F == Form::rectifier_distance)
    return RectifierDistance<V, Tangent>(chord);
  else
    return ErfDistance<V, Tangent>(chord);
}

template <class T, class Isa, class Act, Form F, bool Tangent, bool Deep>
void epilogue(const Chain<T>& chain, int p, int q, const T* chords, T* const* values) {
  using V = Vec<T, Isa>;
  constexpr int kL = kLanes<T, Isa>, kN = kPanel<T, Isa>;
  // With one hidden layer the constants stay in registers anyway, and out-of-order execution overlaps the vectors.
  constexpr int kG = Deep ? kVectors : 1;
  const Act act(chain.parameter);
  for (int r = 0; r < kN; ++r) {
    const std::ptrdiff_t i = std::ptrdiff_t(p) * kN + r;
#pragma GCC unroll 3
    for (int first = 0; first < kVectors; first += kG) {
      const auto column = [&](int v) __attribute__((always_inline)) { return (first + v) * kL; };
      const auto chord_of = [&](int v) __attribute__((always_inline)) { return load<V>(chords + r * kN + column(v)); };
      const auto rows_of = [&](int v) __attribute__((always_inline)) {
        return PairOfRows<V, T>{chain.fields, i, std::ptrdiff_t(q) * kN + column(v)};
      };
      const auto emit = [&](int level, int v, const Level<V>& x) __attribute__((always_inline)) {
        const std::ptrdiff_t j = std::ptrdiff_t(q) * kN + column(v);
        for (int o = chain.first_output[level]; o < chain.first_output[level + 1]; ++o) {
          const Output<T>& out = chain.outputs[o];
          V value;
          if (out.quantity == Quantity::sensitivity) {
            const T* mu = chain.sensitivities[o];
            const V halves = chain.half_norms[i] + load<V>(chain.half_norms + j);
            const V spread = chain.cap * (chain.spreads[i] + load<V>(chain.spreads + j));
            const V m = math::abs(chord_of(v)), rsin = math::rsqrt(m * (T(2) - m));
            value = mu[i] * load<V>(mu + j) * smaller(halves * rsin, spread);
          } else {
            constexpr bool distance = F == Form::rectifier_distance || F == Form::erf_distance;
            value =
                out.quantity == Quantity::tangent ? x.tangent : out.alpha * x.covariance + (distance ? T(0) : out.beta);
            if constexpr (F == Form::plain_distance) {
              const T* k = chain.diagonals[o];
              value = (k[i] + load<V>(k + j)) - T(2) * value;
            }
          }
          store(values[o] + r * kN + column(v), value);
        }
      };
      using State = decltype(state_of<V, F, Tangent>(V{}));
      if constexpr (Deep) {
        State states[kVectors] = {state_of<V, F, Tangent>(chord_of(0)), state_of<V, F, Tangent>(chord_of(1)),
                                  state_of<V, F, Tangent>(chord_of(2))};
        const PairOfRows<V, T> rows[kVectors] = {rows_of(0), rows_of(1), rows_of(2)};
        walk<Tangent, Deep>(states, act, chain.recursion, rows, emit);
      } else {
        State states[1] = {state_of<V, F, Tangent>(chord_of(0))};
        const PairOfRows<V, T> rows[1] = {rows_of(0)};
        walk<Tangent, Deep>(states, act, chain.recursion, rows, emit);
      }
    }
  }
}

template <class A, class B>
inline constexpr bool kSame = false;
template <class A>
inline constexpr bool kSame<A, A> = true;

template <class Act>
inline constexpr bool kIsRectifier = kSame<Act, Relu> || kSame<Act, LeakyRelu> || kSame<Act, Abs>;

// The epilogue of an activation by name; null where the activation has no such form.
template <class T, class Isa>
struct Epilogues {
  template <class Act, Form F>
  static Epilogue<T> of(bool tangent, bool deep) {
    if (deep) return tangent ? &epilogue<T, Isa, Act, F, true, true> : &epilogue<T, Isa, Act, F, false, true>;
    return tangent ? &epilogue<T, Isa, Act, F, true, false> : &epilogue<T, Isa, Act, F, false, false>;
  }
  template <class Act>
  static Epilogue<T> of(Form form, bool tangent, bool deep) {
    if (form == Form::covariance) return of<Act, Form::covariance>(tangent, deep);
    if constexpr (kIsRectifier<Act>) {
      return form == Form::rectifier_distance ? of<Act, Form::rectifier_distance>(tangent, deep) : nullptr;
    } else {
      if constexpr (kSame<Act, Erf>)
        if (form == Form::erf_distance)
          return tangent ? &epilogue<T, Isa, Act, Form::erf_distance, true, false>
                         : &epilogue<T, Isa, Act, Form::erf_distance, false, false>;
      return form == Form::plain_distance ? of<Act, Form::plain_distance>(tangent, deep) : nullptr;
    }
  }

  template <class... Act>
  static Epilogue<T> search(List<Act...>, const char* name, Form form, bool tangent, bool deep) {
    Epilogue<T> found = nullptr;
    (void)((__builtin_strcmp(Act::name, name) == 0 && ((found = of<Act>(form, tangent, deep)), true)) || ...);
    return found;
  }
  static Epilogue<T> find(const char* name, Form form, bool tangent, bool deep) {
    return search(Activations{}, name, form, tangent, deep);
  }
};

}  // namespace nc1fast
