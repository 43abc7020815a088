// What becomes of the values of a unit: sums over class segments, added as integers (integers.hpp).
#pragma once

#include "nc1fast/integers.hpp"
#include "nc1fast/vec.hpp"

namespace nc1fast {

// Adds x to a 128-bit sum of scale 2^(120 - e). False where x is NaN or beyond its bound.
[[gnu::always_inline]] inline bool add_exact(Int128& sum, double x, int e) {
  Int128 integer;
  if (!as_integer(x, e, integer)) return false;
  sum += integer;
  return true;
}

template <class T, class Isa>
struct Reduction {
  using V = Vec<T, Isa>;
  static constexpr int kL = kLanes<T, Isa>, kN = kPanel<T, Isa>;
  using Wide = Vec<double, Isa>;
  static constexpr int kWide = kLanes<double, Isa>;
  static constexpr int kGroup = 8;  // rows added in type T before they are widened

  // The factors of a unit: h of its rows and of its columns, or null.
  struct OfUnit {
    const T *rows, *columns;
    double alpha, beta;
    OfUnit(const Factors<T>& of, int p, int q)
        : rows(of.h ? of.h + std::ptrdiff_t(p) * kN : nullptr),
          columns(of.h ? of.h + std::ptrdiff_t(q) * kN : nullptr),
          alpha(of.alpha),
          beta(of.beta) {}
  };

  // column_sums[j] = sum of values[r][j], with their factors, over rows [begin, end); their own sum over [from, to) is
  // returned.
  static double columns(const T* values, int begin, int end, int from, int to, const OfUnit& of, double* column_sums) {
    if (of.rows)
      add_columns<true>(values, begin, end, of.rows, column_sums);
    else
      add_columns<false>(values, begin, end, nullptr, column_sums);
    apply(of, of.columns, end - begin, column_sums);
    Wide sum{};
    for (int j = 0; j < kN; j += kWide) sum += inside<Wide>(j, from, to) ? load<Wide>(column_sums + j) : Wide{};
    double lanes[kWide];
    store(lanes, sum);
    for (int n = kWide / 2; n >= 1; n /= 2)
      for (int l = 0; l < n; ++l) lanes[l] += lanes[l + n];
    return lanes[0];
  }

  // row_sums[r] = sum of values[r][j], with their factors, over columns [from, to).
  static void rows(const T* values, int from, int to, const OfUnit& of, double* row_sums) {
    if (of.columns)
      add_rows<true>(values, from, to, of.columns, row_sums);
    else
      add_rows<false>(values, from, to, nullptr, row_sums);
    apply(of, of.rows, to - from, row_sums);
  }

 private:
  // Which lanes of the vector from `first` on are in [from, to): to select, so that NaN outside does not matter.
  template <class U>
  [[gnu::always_inline]] static math::Mask<U> inside(int first, int from, int to) {
    using Index = Lane<math::Bits<U>>;
    math::Bits<U> n{};
#pragma GCC unroll 16
    for (int l = 0; l < int(sizeof(U) / sizeof(Lane<U>)); ++l) n[l] = l;
    return (n >= Index(from - first)) & (n < Index(to - first));
  }

  // The factors that sums of n values over the other side have in common.
  static void apply(const OfUnit& of, const T* h, int n, double* sums) {
    const double alpha = of.alpha, shift = of.beta * n;
    if (h)
      for (int j = 0; j < kN; ++j) sums[j] = sums[j] * (alpha * double(h[j])) + shift;
    else if (alpha != 1 || shift != 0)
      for (int j = 0; j < kN; ++j) sums[j] = sums[j] * alpha + shift;
  }

  template <bool Weighted>
  static void add_columns(const T* values, int begin, int end, const T* h, double* column_sums) {
    for (int j = 0; j < kN; ++j) column_sums[j] = 0;
    for (int r0 = begin; r0 < end; r0 += kGroup) {
      const int r1 = r0 + kGroup < end ? r0 + kGroup : end;
      V acc[kVectors] = {};
      for (int r = r0; r < r1; ++r)
#pragma GCC unroll 3
        for (int v = 0; v < kVectors; ++v) {
          const V value = load<V>(values + r * kN + v * kL);
          acc[v] += Weighted ? h[r] * value : value;
        }
      T group[kN];
      for (int v = 0; v < kVectors; ++v) store(group + v * kL, acc[v]);
      for (int j = 0; j < kN; ++j) column_sums[j] += double(group[j]);
    }
  }

  // Pairwise sums of neighbouring lanes: those of a, then those of b. log2(kL) rounds turn kL vectors into the
  // vector of their sums.
  [[gnu::always_inline]] static V fold(V a, V b) {
    if constexpr (kL == 2)
      return __builtin_shufflevector(a, b, 0, 2) + __builtin_shufflevector(a, b, 1, 3);
    else if constexpr (kL == 4)
      return __builtin_shufflevector(a, b, 0, 2, 4, 6) + __builtin_shufflevector(a, b, 1, 3, 5, 7);
    else if constexpr (kL == 8)
      return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14) +
             __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15);
    else
      return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30) +
             __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
  }

  template <bool Weighted>
  static void add_rows(const T* values, int from, int to, const T* h, double* row_sums) {
    if (from == 0 && to == kN)
      add_rows<Weighted, true>(values, from, to, h, row_sums);
    else
      add_rows<Weighted, false>(values, from, to, h, row_sums);
  }

  template <bool Weighted, bool Whole>
  static void add_rows(const T* values, int from, int to, const T* h, double* row_sums) {
    for (int r0 = 0; r0 < kN; r0 += kL) {
      V x[kL];
      for (int r = 0; r < kL; ++r) {
        V sum{};
#pragma GCC unroll 3
        for (int v = 0; v < kVectors; ++v) {
          V value = load<V>(values + (r0 + r) * kN + v * kL);
          if constexpr (Weighted) value *= load<V>(h + v * kL);
          if constexpr (!Whole) value = inside<V>(v * kL, from, to) ? value : V{};
          sum += value;
        }
        x[r] = sum;
      }
#pragma GCC unroll 4
      for (int n = kL / 2; n >= 1; n /= 2)
#pragma GCC unroll 8
        for (int r = 0; r < n; ++r) x[r] = fold(x[2 * r], x[2 * r + 1]);
      T sums[kL];
      store(sums, x[0]);
      for (int l = 0; l < kL; ++l) row_sums[r0 + l] = double(sums[l]);
    }
  }
};

}  // namespace nc1fast
