// The loop on a device: a block for every unit (panel pair P <= Q) of some tiles; products -> chords -> values -> sums.
// No kernel value reaches the memory of the device but those that expressions are made of, and the Gram matrices that
// are asked for. Compiled for float in entries_f32.cu, for double in entries_f64.cu.
#pragma once

#include "device.hpp"
#include "nc1fast/expressions.hpp"
#include "products.hpp"
#include "reductions.hpp"
#include "values.hpp"

namespace nc1fast::device {

// Blocks that a multiprocessor has registers for.
template <class T>
inline constexpr int kBlocks = sizeof(T) == 4 ? kFloatBlocks : 4;

inline constexpr std::ptrdiff_t kUnit = std::ptrdiff_t(kWidth) * kWidth;

// What this thread has of a unit.
template <class T>
__device__ __forceinline__ void copy_column(const T* from, T* to) {
  for (int k = thread(); k < kUnit; k += kThreads) to[k] = from[k];
}

template <class T>
__device__ __forceinline__ const T* panel(const T* panels, int p, int depth) {
  return panels + std::ptrdiff_t(p) * depth * kWidth;
}

// Signed chords of two panels into a unit of shared memory.
template <bool Signed, class T>
__device__ __forceinline__ void chords_of(const T* a, const T* b, int depth, const T* half_a, const T* half_b,
                                          T* chords) {
  products(a, b, depth, chords, [=](int row, int column, T product) {
    chords[row * kWidth + column] = chord<Signed, T>(product, half_a[row] + half_b[column]);
  });
}

template <class T>
__global__ void __launch_bounds__(kThreads) half_norms(const T* panels, int depth, T* half) {
  const int p = int(block());
  const T* a = panel(panels, p, depth);
  products(a, a, depth, shared_memory<T>(), [=](int row, int column, T product) {
    if (row != column) return;
    const std::ptrdiff_t i = std::ptrdiff_t(p) * kWidth + row;
    if (product != 0) half[i] = T(0.5) * product;
  });
}

template <class T>
__device__ __forceinline__ bool any_wanted(const Pass<T>& pass, int p, int q) {
  const int p_first = pass.segments[pass.first_segment[p]].cls,
            p_last = pass.segments[pass.first_segment[p + 1] - 1].cls;
  const int q_first = pass.segments[pass.first_segment[q]].cls,
            q_last = pass.segments[pass.first_segment[q + 1] - 1].cls;
  return pass.within ? p_last >= q_first : p_first != q_last;
}

// The panels of this block; p < 0 where it has nothing to do.
struct PanelPair {
  int p, q;
};
template <class T>
__device__ __forceinline__ PanelPair panels_of(const SumsWork<T>& work) {
  const std::int64_t number = work.first_unit + block();
  const Tile& tile = work.tiles[number / kTileUnits];
  const int unit = int(number % kTileUnits);
  const int p = tile.p_begin + unit / kTilePanels, q = tile.q_begin + unit % kTilePanels;
  const bool wanted = p < tile.p_end && q < tile.q_end && p <= q && any_wanted(work.pass, p, q);
  return {wanted ? p : -1, q};
}

// Root k of the unit (p, q), from the chords of its chain, which stay: summed, and kept where an expression needs it.
template <bool Within, class T>
__device__ __forceinline__ void add_root(const SumsWork<T>& work, int p, int q, const T* chords, int k) {
  const Root<T> root = work.roots[k];
  const int output = work.pass.n_outputs - work.n_roots + k;
  const RootColumn<Within, T> errors(work.pass.chains[root.chain], root.mu, p, q, chords);
  if (const int kept = work.sums[output].kept; kept >= 0) {
    T* to = work.kept + (block() * work.n_kept + kept) * kUnit + thread();
    for (int r = 0; r < kWidth; ++r) to[r * kWidth] = errors(r);
  }
  reduce_columns<Within>(work, p, q, errors, output);
}

// A unit of this block, its products taken by chords_of(p, q, chords).
template <bool Within, bool Deep, class T, class ChordsOf>
__device__ __forceinline__ void sum_unit(const SumsWork<T>& work, const ChordsOf& chords_of) {
  const auto [p, q] = panels_of(work);
  if (p < 0) return;
  const Pass<T>& pass = work.pass;

  T* chords = shared_memory<T>();
  T* held = work.in_place ? chords : chords + kUnit;
  chords_of(p, q, chords);
  int output = 0, root = 0;
  for (int c = 0; c < pass.n_chains; ++c) {
    const Chain<T>& chain = pass.chains[c];
    for (int first = 0; first < chain.n_outputs; first += work.n_values) {
      const int last = first + work.n_values < chain.n_outputs ? first + work.n_values : chain.n_outputs;
      const T* const own = own_chords<Within>(chain, p, q, chords, held);
      for (; root < work.n_roots && work.roots[root].chain == c; ++root) add_root<Within>(work, p, q, own, root);
      values<Within, Deep>(chain, p, q, own, {first, last}, held);
      for (int o = first; o < last; ++o)
        if (const int kept = work.sums[output + o].kept; kept >= 0)
          copy_column(held + (o - first) * kUnit, work.kept + (block() * work.n_kept + kept) * kUnit);
      barrier();
      for (int o = first; o < last; ++o) reduce<Within>(work, p, q, held + (o - first) * kUnit, output + o);
      barrier();
    }
    output += chain.n_outputs;
  }
}

template <class T, bool Within, bool Deep>
__global__ void __launch_bounds__(kThreads, kBlocks<T>) sums(const __grid_constant__ SumsWork<T> work) {
  const Pass<T>& pass = work.pass;
  sum_unit<Within, Deep>(work, [&](int p, int q, T* chords) __attribute__((always_inline)) {
    const std::ptrdiff_t i = std::ptrdiff_t(p) * kWidth, j = std::ptrdiff_t(q) * kWidth;
    chords_of<!Within>(panel(pass.panels, p, pass.depth), panel(pass.panels, q, pass.depth), pass.depth,
                       pass.half_norms + i, pass.half_norms + j, chords);
  });
}

// Values of an expression at the entries of this thread's column, and what its roots may move there into `errors`.
template <class State, class T>
__device__ __forceinline__ void combine_column(const Expression<T>& of, int p, int q, const Kept<T>& kept, T* values,
                                               T* errors) {
  const int c = thread();
  for (int r = 0; r < kWidth; ++r) {
    const std::ptrdiff_t i = std::ptrdiff_t(p) * kWidth + r, j = std::ptrdiff_t(q) * kWidth + c;
    const int at = r * kWidth + c;
    const State x = value_of_terms<State>(of.terms, of.n_terms, of.unit, [&](int n) __attribute__((always_inline)) {
      return leaf_state<State, T>(of.leaves[n], kept, at, i, j);
    });
    if constexpr (requires { x.gap; })
      values[at] = i == j ? T(0) : x.distance;  // a row has no distance from itself
    else
      values[at] = x.k;
    if (of.rooted) errors[at] = i == j ? T(0) : x.error;
  }
}

// The expressions of the units whose values `sums` has kept, the last place of them free for errors.
template <class T, bool Within>
__global__ void __launch_bounds__(kThreads, kBlocks<T>) combine_sums(const __grid_constant__ SumsWork<T> work) {
  using State = std::conditional_t<Within, nc1fast::Within<T>, Between<T>>;
  const auto [p, q] = panels_of(work);
  if (p < 0) return;
  const Pass<T>& pass = work.pass;
  T *values = shared_memory<T>(), *kept = work.kept + block() * work.n_kept * kUnit,
    *errors = kept + (work.n_kept - 1) * kUnit;
  for (int e = 0, output = 0; e < pass.n_expressions; ++e) {
    const Expression<T>& of = pass.expressions[e];
    combine_column<State>(of, p, q, Kept<T>{kept, kUnit}, values, errors);
    for (const int last = output + of.rooted;; copy_column(errors, values)) {
      barrier();
      reduce<Within>(work, p, q, values, output++);
      barrier();
      if (output > last) break;
    }
  }
}

// Small chords again, by differences: t = sum (u_i -+ u_j)^2/2 keeps its digits where 1 - |<u_i, u_j>| has few.
template <class T>
__device__ void refine(const T* a, const T* b, int depth, T* chords) {
  const int c = thread();
  for (int r = 0; r < kWidth; ++r) {
    const T before = chords[r * kWidth + c];
    if (!(math::abs(before) < T(1e-6))) continue;
    const T sign = math::copysign(T(1), before);
    T t = 0;
    for (int k = 0; k < depth; ++k) {
      const T d = a[k * kWidth + r] - sign * b[k * kWidth + c];
      t += d * d;
    }
    chords[r * kWidth + c] = sign * (T(0.5) * t);
  }
}

// A block for every unit of some row panels. Below the diagonal of a symmetric matrix it is the entry above that is
// computed and taken, so that both have the same bits.
template <class T, bool Deep>
__global__ void __launch_bounds__(kThreads, kBlocks<T>) gram(const __grid_constant__ GramWork<T> work) {
  const GramPass<T>& pass = work.pass;
  const int p = work.p_begin + int(block() / work.n_column_panels), q = int(block() % work.n_column_panels);
  const bool swapped = pass.symmetric && p > q;
  const int first = swapped ? q : p, second = swapped ? p : q, t = thread();
  T *chords = shared_memory<T>(), *held = chords + kUnit;
  const T *a = panel(pass.row_panels, first, pass.depth), *b = panel(pass.column_panels, second, pass.depth);
  chords_of<true>(a, b, pass.depth, pass.row_half_norms + std::ptrdiff_t(first) * kWidth,
                  pass.column_half_norms + std::ptrdiff_t(second) * kWidth, chords);
  if (pass.refine) refine(a, b, pass.depth, chords);
  const T* const own = own_chords<false>(work.chain, pass.row_offset + first, second, chords, held);
  values<false, Deep>(work.chain, pass.row_offset + first, second, own, {pass.value, pass.value + 1}, held);
  barrier();
  const std::ptrdiff_t i0 = std::ptrdiff_t(p) * kWidth, j = std::ptrdiff_t(q) * kWidth + t;
  if (j >= pass.n_columns) return;
  const T *norms = pass.norms + std::ptrdiff_t(pass.row_offset) * kWidth, norm = pass.norms[j];
  T* out = pass.out - std::ptrdiff_t(work.p_begin) * kWidth * pass.n_columns;
  for (int r = 0; r < kWidth && i0 + r < pass.n_rows; ++r) {
    const bool below = swapped || (pass.symmetric && p == q && r > t);
    const int at = below ? t * kWidth + r : r * kWidth + t;
    // Equal rows have the value of the diagonal, to the bit.
    const bool coincide = chords[at] == 0 && math::copysign(T(1), chords[at]) > 0 && norms[i0 + r] == norm;
    out[(i0 + r) * pass.n_columns + j] = coincide ? pass.diagonal[below ? i0 + r : j] : held[at];
  }
}

// Entries of an expression from those of its leaves. Where each of these is the diagonal value of both rows, so is the
// expression's: equal rows have the value of its diagonal, to the bit.
template <class T>
__global__ void __launch_bounds__(kThreads, kBlocks<T>) combine_gram(const __grid_constant__ GramWork<T> work) {
  const GramPass<T>& pass = work.pass;
  const std::ptrdiff_t i0 = (work.p_begin + block() / work.n_column_panels) * kWidth,
                       j = block() % work.n_column_panels * kWidth + thread();
  if (j >= pass.n_columns) return;
  const Kept<T> kept{work.kept, work.kept_size};
  const std::ptrdiff_t rows_at = std::ptrdiff_t(pass.row_offset) * kWidth;
  for (int r = 0; r < kWidth && i0 + r < pass.n_rows; ++r) {
    const std::ptrdiff_t i = i0 + r, at = (i - std::ptrdiff_t(work.p_begin) * kWidth) * pass.n_columns + j;
    bool coincide = true;
    const Between<T> x = value_of_terms<Between<T>>(
        pass.expression.terms, pass.expression.n_terms, pass.expression.unit,
        [&](int n) __attribute__((always_inline)) {
          const Leaf<T>& leaf = pass.expression.leaves[n];
          const Between<T> state = leaf_state<Between<T>, T>(leaf, kept, at, i, j);
          coincide = coincide && state.k == leaf.diagonal[rows_at + i] && state.k == leaf.diagonal[j];
          return state;
        });
    // Of a symmetric matrix, that of the entry above the diagonal.
    pass.out[at] = coincide ? pass.diagonal[pass.symmetric && i > j ? i : j] : x.k;
  }
}

template <class T>
struct Entries {
  static cudaError_t start_half_norms(const T* panels, int n_panels, int depth, T* half, cudaStream_t stream) {
    return launch(&half_norms<T>, n_panels, unit_bytes<T>, stream, panels, depth, half);
  }
  static cudaError_t start_sums(const SumsWork<T>& work, bool deep, std::size_t shared_bytes, cudaStream_t stream) {
    const auto entry = work.pass.within ? deep ? &sums<T, true, true> : &sums<T, true, false>
                       : deep           ? &sums<T, false, true>
                                        : &sums<T, false, false>;
    return launch(entry, work.n_units, shared_bytes, stream, work);
  }
  static cudaError_t start_gram(const GramWork<T>& work, bool deep, std::int64_t n_units, cudaStream_t stream) {
    return launch(deep ? &gram<T, true> : &gram<T, false>, n_units, 2 * unit_bytes<T>, stream, work);
  }
  static cudaError_t start_combine_sums(const SumsWork<T>& work, cudaStream_t stream) {
    return launch(work.pass.within ? &combine_sums<T, true> : &combine_sums<T, false>, work.n_units, unit_bytes<T>,
                  stream, work);
  }
  static cudaError_t start_combine_gram(const GramWork<T>& work, std::int64_t n_units, cudaStream_t stream) {
    return launch(&combine_gram<T>, n_units, 0, stream, work);
  }
  static constexpr Launches<T> launches{&start_half_norms,   &start_sums, &start_gram, &start_combine_sums,
                                        &start_combine_gram, nullptr,     nullptr};
};

}  // namespace nc1fast::device
