// Kernel values times columns of numbers: sums over the rows of a unit, weighted by what belongs to each row.
//
// The sums of a tile are float64, in a fixed order: products of a unit are added in the type of its values, units in
// float64. What leaves a tile is an integer (row_sums.hpp), so that neither threads nor the order of tiles change a
// bit.
#pragma once

#include "nc1fast/vec.hpp"

namespace nc1fast {

template <class T, class Isa>
struct Multiply {
  using V = Vec<T, Isa>;
  static constexpr int kL = kLanes<T, Isa>, kN = kPanel<T, Isa>;
  static constexpr int kStrip = Isa::rows >= 8 ? 8 : Isa::rows >= 4 ? 4 : 2;  // columns whose sums fill the registers

  // sums[j][c] += sum over i < n of factors[i][j] values[i][c]: factors (n, k), values (n, kN), sums (k, kN) with
  // `stride` numbers from one j to the next.
  static void add(const T* factors, int k, const T* values, int n, double* sums, std::ptrdiff_t stride) {
    strips<kStrip>(factors, k, values, n, sums, stride, 0);
  }

 private:
  template <int M>
  static void strips(const T* factors, int k, const T* values, int n, double* sums, std::ptrdiff_t stride, int from) {
    int j = from;
    for (; j + M <= k; j += M) strip<M>(factors + j, k, values, n, sums + j * stride, stride);
    if constexpr (M > 1)
      if (j < k) strips<M / 2>(factors, k, values, n, sums, stride, j);
  }

  template <int M>
  static void strip(const T* factors, int k, const T* values, int n, double* sums, std::ptrdiff_t stride) {
    V acc[M][kVectors] = {};
#pragma GCC unroll 2
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
      for (int c = 0; c < kN; ++c) sums[m * stride + c] += double(part[c]);
    }
  }
};

}  // namespace nc1fast
