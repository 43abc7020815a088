// Matrix products in a fixed order: an entry depends on its row of A and its column of B alone, to the bit, and on no
// thread, tile or layout.
//
// The inner dimension is cut into blocks of kBlock: each is one chain of multiply-adds, and the blocks are added one
// after the other. So |fl(A B) - A B| <= gamma_m |A| |B|, m = min(k, kBlock) + ceil(k / kBlock) - 1.
#pragma once

#include "nc1fast/inner.hpp"

namespace nc1fast {

template <class T, class Isa>
struct MatMul {
  using V = Vec<T, Isa>;
  using Kernel = Inner<T, Isa>;
  static constexpr int kL = kLanes<T, Isa>, kN = kPanel<T, Isa>, kM = Isa::rows;
  static constexpr int kBlock = 128;  // the panel of B stays in L1 beside the strip of A
  static constexpr int kStreams = 6;  // read at a time: fewer than a cache has ways, whatever the stride
  static_assert(kN % kStreams == 0);

  // Numbers that a tile of so many panels in both directions needs: panels of A and of B, and its sums.
  static std::size_t scratch(int panels) {
    const std::size_t width = std::size_t(panels) * kN;
    return width * (2 * kBlock + width);
  }

  // Vectors (n of them, `across` apart, each of `length` numbers `along` apart) into panels, zeros at the end.
  static void pack(const T* from, std::ptrdiff_t n, std::ptrdiff_t across, int length, std::ptrdiff_t along,
                   T* panels) {
    for (std::ptrdiff_t first = 0; first < n; first += kN, panels += kBlock * kN)
      for (int r = 0; r < kN; r += kStreams) {
        const std::ptrdiff_t left = n - first - r;
        const int some = left < kStreams ? (left < 0 ? 0 : int(left)) : kStreams;
        const T* x = from + (first + r) * across;
        for (int k = 0; k < length; ++k, x += along)
          for (int s = 0; s < kStreams; ++s) panels[k * kN + r + s] = s < some ? x[s * across] : T(0);
      }
  }

  // Entries from (row, column) on, of a tile of panels x panels.
  static void tile(const MatrixProduct<T>& of, std::ptrdiff_t row, std::ptrdiff_t column, int panels, T* scratch) {
    const std::ptrdiff_t width = std::ptrdiff_t(panels) * kN;
    const std::ptrdiff_t rows = of.n_rows - row < width ? of.n_rows - row : width;
    const std::ptrdiff_t columns = of.n_columns - column < width ? of.n_columns - column : width;
    T *a = scratch, *b = a + width * kBlock, *sums = b + width * kBlock;
    for (std::ptrdiff_t k = 0; k == 0 || k < of.n_inner; k += kBlock) {
      const int length = of.n_inner - k < kBlock ? int(of.n_inner - k) : kBlock;
      pack(of.a + row * of.a_row + k * of.a_inner, rows, of.a_row, length, of.a_inner, a);
      pack(of.b + column * of.b_column + k * of.b_inner, columns, of.b_column, length, of.b_inner, b);
      for (std::ptrdiff_t j = 0; j < columns; j += kN)
        for (std::ptrdiff_t i = 0; i < rows; i += kM)
          add(a + i / kN * (kBlock * kN) + i % kN, b + j * kBlock, length, k == 0, sums + i * width + j, width);
    }
    T* out = of.out + row * of.out_row + column * of.out_column;
    if (of.out_column == 1)
      for (std::ptrdiff_t i = 0; i < rows; ++i)
        __builtin_memcpy(out + i * of.out_row, sums + i * width, std::size_t(columns) * sizeof(T));
    else
      for (std::ptrdiff_t j = 0; j < columns; ++j)
        for (std::ptrdiff_t i = 0; i < rows; ++i) out[i * of.out_row + j * of.out_column] = sums[i * width + j];
  }

 private:
  // out (kM, kN) (+)= a block of the inner dimension.
  [[gnu::always_inline]] static void add(const T* a, const T* b, int k, bool first, T* out, std::ptrdiff_t stride) {
    V acc[kM][kVectors] = {};
    Kernel::multiply(acc, a, b, k, [] {});
#pragma GCC unroll 8
    for (int r = 0; r < kM; ++r)
#pragma GCC unroll 3
      for (int v = 0; v < kVectors; ++v) {
        T* to = out + r * stride + v * kL;
        store(to, first ? acc[r][v] : load<V>(to) + acc[r][v]);
      }
  }
};

}  // namespace nc1fast
