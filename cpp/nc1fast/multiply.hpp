// Kernel values times columns of numbers: sums over the rows of a unit, weighted by what belongs to each row.
//
// The sums of a tile are float64, in a fixed order: products of a unit are added in the type of its values, units in
// float64. What leaves a tile is an integer (integers.hpp), so that neither threads nor the order of tiles change a
// bit.
#pragma once

#include "nc1fast/integers.hpp"
#include "nc1fast/vec.hpp"

namespace nc1fast {

template <class T, class Isa>
struct Multiply {
  using V = Vec<T, Isa>;
  static constexpr int kL = kLanes<T, Isa>, kN = kPanel<T, Isa>;
  static constexpr int kStrip = Isa::rows >= 8 ? 8 : Isa::rows >= 4 ? 4 : 2;  // columns whose sums fill the registers

  // sums[j][c] += sum over i < n of factors[i][j] values[i][c]: factors (n, k), values (n, kN), sums (k, kN).
  static void add(const T* factors, int k, const T* values, int n, double* sums) {
    strips<kStrip>(factors, k, values, n, sums, 0);
  }

  // target[i] += sums[i] row[i] column, as integers, for i in [0, n). False where one is NaN or beyond its bound.
  static bool add_integers(std::int64_t* target, const double* sums, const double* row, double column, int n) {
    bool finite = true;
    for (int i = 0; i < n; ++i) {
      const double y = sums[i] * row[i] * column;
      const bool bounded = __builtin_fabs(y) <= 0x1p62;
      finite &= bounded;
      target[i] += nearest(bounded ? y : 0.0);
    }
    return finite;
  }

 private:
  template <int M>
  static void strips(const T* factors, int k, const T* values, int n, double* sums, int from) {
    int j = from;
    for (; j + M <= k; j += M) strip<M>(factors + j, k, values, n, sums + std::ptrdiff_t(j) * kN);
    if constexpr (M > 1)
      if (j < k) strips<M / 2>(factors, k, values, n, sums, j);
  }

  template <int M>
  static void strip(const T* factors, int k, const T* values, int n, double* sums) {
    V acc[M][kVectors] = {};
    for (int i = 0; i < n; ++i, factors += k, values += kN) {
      V value[kVectors];
#pragma GCC unroll 3
      for (int v = 0; v < kVectors; ++v) value[v] = load<V>(values + v * kL);
#pragma GCC unroll 8
      for (int m = 0; m < M; ++m)
#pragma GCC unroll 3
        for (int v = 0; v < kVectors; ++v) acc[m][v] += factors[m] * value[v];
    }
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
      T part[kN];
#pragma GCC unroll 3
      for (int v = 0; v < kVectors; ++v) store(part + v * kL, acc[m][v]);
      for (int c = 0; c < kN; ++c) sums[m * kN + c] += double(part[c]);
    }
  }
};

}  // namespace nc1fast
