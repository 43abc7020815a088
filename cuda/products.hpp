// Inner products of two panels: k-major panels stream through shared memory, a step of rows ahead of their use, into an
// 8 x 8 block of registers per thread (FMA), or into the fragments of a tensor core (float64).
//
// Equal rows have the same product wherever they stand, and half = |u|^2/2 is one of these products: the chord of
// equal and opposite rows is exactly 0.
#pragma once

#include <type_traits>

#include "device.hpp"
#include "work.hpp"

namespace nc1fast::device {

// Where column c of row k of a step lies. float64: shifted by a quarter of the banks from row to row, so that the four
// rows and eight columns that a fragment takes at a time meet every bank twice, and each half of a warp once.
template <class T>
__device__ __forceinline__ int place_in_step(int k, int c) {
  return k * kWidth + (sizeof(T) == 8 ? c ^ k % 4 * 4 : c);
}

// Steps of both panels on their way through shared memory, in order.
template <class T>
class Stages {
  static constexpr int kSize = kStep * kWidth;                 // of one panel
  static constexpr int kPiece = 16 / int(sizeof(T));           // numbers of one copy
  static constexpr int kCopies = kSize / (kThreads * kPiece);  // of one thread

 public:
  static_assert(2 * kStages * kSize * sizeof(T) <= unit_bytes<T>, "stages lie where the chords will be");
  static_assert(kCopies * kThreads * kPiece == kSize);
  __device__ Stages(const T* a, const T* b, T* memory)
      : a_(a + thread() * kPiece), b_(b + thread() * kPiece), memory_(memory) {}

  // Starts the copies of the next step.
  __device__ __forceinline__ void fetch() {
    T* to = memory_ + fetched_ * 2 * kSize;
#pragma unroll
    for (int n = 0; n < kCopies; ++n) {
      const int k = n * kThreads * kPiece,
                at = place_in_step<T>((k + thread() * kPiece) / kWidth, (k + thread() * kPiece) % kWidth);
      copy_async(to + at, a_ + k);
      copy_async(to + kSize + at, b_ + k);
    }
    a_ += kSize;
    b_ += kSize;
    fetched_ = after(fetched_);
  }
  // The next step of a, followed by that of b.
  __device__ __forceinline__ const T* take() {
    const T* step = memory_ + taken_ * 2 * kSize;
    taken_ = after(taken_);
    return step;
  }
  __device__ static const T* b(const T* step) { return step + kSize; }

 private:
  __device__ static int after(int stage) { return stage + 1 == kStages ? 0 : stage + 1; }
  const T *a_, *b_;  // of this thread, at the next step
  T* memory_;
  int fetched_ = 0, taken_ = 0;
};

// Products by multiply-adds: thread (ty, tx) of 8 x 8 has every row of ty's pieces with every column of tx's.
template <class T>
class ByFma {
  static constexpr int kPiece = 16 / int(sizeof(T)), kPieces = 8 / kPiece;
  T acc_[8][8] = {};

  // Threads whose numbers differ in bit 0 read the same rows, in bit 1 the same columns: the memory answers two pairs
  // of equal addresses at a time, so that 16 bytes for each of 32 threads take two cycles instead of four.
  __device__ static int tx() { return thread() % 2 + thread() / 4 % 4 * 2; }
  __device__ static int ty() { return thread() / 2 % 2 + thread() / 16 * 2; }
  __device__ static int place(int piece, int of) { return piece * 8 * kPiece + of * kPiece; }
  __device__ static void take(const T* from, int k, int of, T (&to)[8]) {
#pragma unroll
    for (int piece = 0; piece < kPieces; ++piece)
#pragma unroll
      for (int e = 0; e < kPiece; ++e) to[piece * kPiece + e] = from[place_in_step<T>(k, place(piece, of)) + e];
  }

 public:
  __device__ __forceinline__ void step(const T* a, const T* b) {
#pragma unroll(sizeof(T) == 8 ? 4 : kStep)  // more of double would spill
    for (int k = 0; k < kStep; ++k) {
      T x[8], y[8];
      take(a, k, ty(), x);
      take(b, k, tx(), y);
#pragma unroll
      for (int i = 0; i < 8; ++i)
#pragma unroll
        for (int j = 0; j < 8; ++j) acc_[i][j] += x[i] * y[j];
    }
  }
  // to(row, column, product) for every product that this thread has.
  template <class To>
  __device__ __forceinline__ void give(const To& to) const {
#pragma unroll
    for (int i = 0; i < 8; ++i)
#pragma unroll
      for (int j = 0; j < 8; ++j)
        to(place(i / kPiece, ty()) + i % kPiece, place(j / kPiece, tx()) + j % kPiece, acc_[i][j]);
  }
};

// Products by tensor cores: a warp has 32 rows, in 2 x 8 fragments of 16 x 8.
class ByTensor {
  static constexpr int kRows = kWidth / (kThreads / kWarp) / 16, kColumns = kWidth / 8;
  double acc_[kRows][kColumns][4] = {};

  __device__ static int first_row() { return thread() / kWarp * 16 * kRows; }

 public:
  __device__ __forceinline__ void step(const double* a, const double* b) {
    static_assert(kStep == 8);
    const int g = thread() % kWarp / 4, t = thread() % 4;
    // Column 8 n + g of row t, and of row t + 4: 16 (n / 2) from one of two places.
    const int places[2] = {place_in_step<double>(t, g), place_in_step<double>(t, 8 + g)};
    const auto at = [&](int k, int n) { return k * kWidth + n / 2 * 16 + places[n % 2]; };
    double x[kRows][4];
#pragma unroll
    for (int i = 0; i < kRows; ++i)
#pragma unroll
      for (int n = 0; n < 4; ++n) x[i][n] = a[first_row() + at(n / 2 * 4, 2 * i + n % 2)];
#pragma unroll
    for (int j = 0; j < kColumns; ++j) {
      const double y[2] = {b[at(0, j)], b[at(4, j)]};
#pragma unroll
      for (int i = 0; i < kRows; ++i) multiply_add(acc_[i][j], x[i], y);
    }
  }
  template <class To>
  __device__ __forceinline__ void give(const To& to) const {
#pragma unroll
    for (int i = 0; i < kRows; ++i)
#pragma unroll
      for (int j = 0; j < kColumns; ++j)
        each_of_fragment(
            [&](int n, int row, int column) { to(first_row() + 16 * i + row, 8 * j + column, acc_[i][j][n]); });
  }
};

template <class T>
using Products = std::conditional_t<kTensor && sizeof(T) == 8, ByTensor, ByFma<T>>;

// to(row, column, <a_row, b_column>) for all rows of two panels, each by one thread. `memory` is free before and after.
template <class T, class To>
__device__ __forceinline__ void products(const T* a, const T* b, int depth, T* memory, const To& to) {
  Stages<T> stages(a, b, memory);
  Products<T> sums;
  const int n = depth / kStep;
  for (int s = 0; s < kStages - 1; ++s) {
    if (s < n) stages.fetch();
    commit_copies();
  }
  for (int s = 0; s < n; ++s) {
    copies_done<kStages - 2>();
    barrier();  // the step is there for all, and the place of the one before is free
    if (s + kStages - 1 < n) stages.fetch();
    commit_copies();
    const T* step = stages.take();
    sums.step(step, Stages<T>::b(step));
  }
  barrier();
  sums.give(to);
  barrier();
}

}  // namespace nc1fast::device
