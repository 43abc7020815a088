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

// Where column c of row k of a step lies: odd rows of float64 are shifted by half the banks, so that the four rows and
// eight columns that a fragment takes at a time meet every bank twice.
template <class T>
__device__ __forceinline__ int place_in_step(int k, int c) {
  return k * kWidth + (sizeof(T) == 8 ? c ^ (k & 1) * 8 : c);
}

// Steps of both panels in shared memory.
template <class T>
class Stages {
  static constexpr int kSize = kStep * kWidth;  // of one panel
 public:
  static_assert(2 * kStages * kSize * sizeof(T) <= unit_bytes<T>, "stages lie where the chords will be");
  __device__ Stages(const T* a, const T* b, T* memory) : a_(a), b_(b), memory_(memory) {}

  __device__ void fetch(int step) const {
    constexpr int kPiece = 16 / int(sizeof(T));  // numbers of one copy
    T* to = memory_ + step % kStages * 2 * kSize;
    for (int k = thread() * kPiece; k < kSize; k += kThreads * kPiece) {
      const int at = place_in_step<T>(k / kWidth, k % kWidth);
      copy_async(to + at, a_ + std::ptrdiff_t(step) * kSize + k);
      copy_async(to + kSize + at, b_ + std::ptrdiff_t(step) * kSize + k);
    }
  }
  __device__ const T* a(int step) const { return memory_ + step % kStages * 2 * kSize; }
  __device__ const T* b(int step) const { return a(step) + kSize; }

 private:
  const T *a_, *b_;
  T* memory_;
};

// Products by multiply-adds: thread (ty, tx) of 8 x 8 has every row of ty's pieces with every column of tx's.
template <class T>
class ByFma {
  static constexpr int kPiece = 16 / int(sizeof(T)), kPieces = 8 / kPiece;
  T acc_[8][8] = {};

  __device__ static int place(int piece, int of) { return piece * 8 * kPiece + of * kPiece; }
  __device__ static void take(const T* from, int k, int of, T (&to)[8]) {
#pragma unroll
    for (int piece = 0; piece < kPieces; ++piece)
#pragma unroll
      for (int e = 0; e < kPiece; ++e) to[piece * kPiece + e] = from[place_in_step<T>(k, place(piece, of)) + e];
  }

 public:
  __device__ __forceinline__ void step(const T* a, const T* b) {
    const int ty = thread() / 8, tx = thread() % 8;
#pragma unroll
    for (int k = 0; k < kStep; ++k) {
      T x[8], y[8];
      take(a, k, ty, x);
      take(b, k, tx, y);
#pragma unroll
      for (int i = 0; i < 8; ++i)
#pragma unroll
        for (int j = 0; j < 8; ++j) acc_[i][j] += x[i] * y[j];
    }
  }
  // to(row, column, product) for every product that this thread has.
  template <class To>
  __device__ __forceinline__ void give(const To& to) const {
    const int ty = thread() / 8, tx = thread() % 8;
#pragma unroll
    for (int i = 0; i < 8; ++i)
#pragma unroll
      for (int j = 0; j < 8; ++j)
        to(place(i / kPiece, ty) + i % kPiece, place(j / kPiece, tx) + j % kPiece, acc_[i][j]);
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
    double x[kRows][4];
#pragma unroll
    for (int i = 0; i < kRows; ++i)
#pragma unroll
      for (int n = 0; n < 4; ++n)
        x[i][n] = a[place_in_step<double>(t + n / 2 * 4, first_row() + 16 * i + g + n % 2 * 8)];
#pragma unroll
    for (int j = 0; j < kColumns; ++j) {
      const double y[2] = {b[place_in_step<double>(t, 8 * j + g)], b[place_in_step<double>(t + 4, 8 * j + g)]};
#pragma unroll
      for (int i = 0; i < kRows; ++i) multiply_add(acc_[i][j], x[i], y);
    }
  }
  template <class To>
  __device__ __forceinline__ void give(const To& to) const {
    const int g = thread() % kWarp / 4, t = thread() % 4;
#pragma unroll
    for (int i = 0; i < kRows; ++i)
#pragma unroll
      for (int j = 0; j < kColumns; ++j)
#pragma unroll
        for (int n = 0; n < 4; ++n) to(first_row() + 16 * i + g + n / 2 * 8, 8 * j + 2 * t + n % 2, acc_[i][j][n]);
  }
};

template <class T>
using Products = std::conditional_t<kTensor && sizeof(T) == 8, ByTensor, ByFma<T>>;

// to(row, column, <a_row, b_column>) for all rows of two panels, each by one thread. `memory` is free before and after.
template <class T, class To>
__device__ __forceinline__ void products(const T* a, const T* b, int depth, T* memory, const To& to) {
  const Stages<T> stages(a, b, memory);
  Products<T> sums;
  const int n = depth / kStep;
  for (int s = 0; s < kStages - 1; ++s) {
    if (s < n) stages.fetch(s);
    commit_copies();
  }
  for (int s = 0; s < n; ++s) {
    copies_done<kStages - 2>();
    barrier();  // the step is there for all, and its successor's place is free
    if (s + kStages - 1 < n) stages.fetch(s + kStages - 1);
    commit_copies();
    sums.step(stages.a(s), stages.b(s));
  }
  barrier();
  sums.give(to);
  barrier();
}

}  // namespace nc1fast::device
