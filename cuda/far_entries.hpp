// Rows that lie on the device as their owner left them: looked at, measured, added up by class, and packed into panels.
// Every sum has the terms, the order and the roundings of the processor's (survey.cpp, packing.cpp), hence its bits.
// Compiled in far_entries.cu.
#pragma once

#include "far_work.hpp"
#include "rounded.hpp"

namespace nc1fast::device {

// Number k of a row.
template <class S>
__device__ __forceinline__ double number(const FarSource& x, std::int64_t row, int k) {
  return double(static_cast<const S*>(x.data)[row * x.row + k * x.column]);
}

// Rows of one warp, one after the other; fewer at the end.
template <class Do>
__device__ __forceinline__ void rows_of_warp(std::int64_t n, const Do& with_row) {
  const std::int64_t first = (block() * (kThreads / kWarp) + thread() / kWarp) * kFarRows;
  for (std::int64_t r = first; r < n && r < first + kFarRows; ++r) with_row(r);
}

// found (n,): the first column of each row that is NaN or Inf; d: all are finite; d + 1: all are zero.
template <class S>
__global__ void __launch_bounds__(kThreads)
    inspect(const __grid_constant__ FarSource x, std::int64_t first, std::int64_t n, int* found) {
  rows_of_warp(n, [&](std::int64_t r) {
    double least = x.d + 1;
    for (int k = thread() % kWarp; k < x.d; k += kWarp) {
      const double a = number<S>(x, first + r, k);
      const double what = a - a != 0 ? k : a != 0 ? x.d : x.d + 1;
      least = what < least ? what : least;
    }
    for (int mask = kWarp / 2; mask > 0; mask /= 2) {
      const double other = shuffle_xor(least, mask);
      least = other < least ? other : least;
    }
    if (thread() % kWarp == 0) found[r] = int(least);
  });
}

// out (n,). A lane has every kWarp-th element, as the parts of a sum on the processor do; these are joined by halves.
template <class S>
__global__ void __launch_bounds__(kThreads)
    measure(const __grid_constant__ FarSource x, std::int64_t first, std::int64_t n,
            const __grid_constant__ FarMeans about, RowLengths* out) {
  rows_of_warp(n, [&](std::int64_t r) {
    const double* m = nullptr;
    if (about.classes && about.centred[about.classes[r]]) m = about.means + std::ptrdiff_t(about.classes[r]) * x.d;
    RowLengths sums;
    for (int k = thread() % kWarp; k < x.d; k += kWarp) {
      const double a = number<S>(x, first + r, k);
      sums.norm = plus(sums.norm, times(a, a));
      if (!m) continue;
      const double step = minus(a, m[k]);
      sums.difference = plus(sums.difference, times(step, plus(a, m[k])));
      sums.distance = plus(sums.distance, times(step, step));
    }
    for (int mask = kWarp / 2; mask > 0; mask /= 2) {
      sums.norm = plus(sums.norm, shuffle_xor(sums.norm, mask));
      if (!m) continue;
      sums.difference = plus(sums.difference, shuffle_xor(sums.difference, mask));
      sums.distance = plus(sums.distance, shuffle_xor(sums.distance, mask));
    }
    if (thread() % kWarp == 0) out[r] = sums;
  });
}

// Sorted rows [first, first + n), their places in `order` (n,), to the totals (C, d): a thread for each of these.
template <class S>
__global__ void __launch_bounds__(kThreads)
    add_up(const __grid_constant__ FarSource x, const std::int64_t* order, std::int64_t first, std::int64_t n,
           const std::int64_t* begins, double* totals) {
  const int blocks = (x.d + kThreads - 1) / kThreads, k = int(block() % blocks) * kThreads + thread();
  const std::int64_t c = block() / blocks;
  const std::int64_t begin = begins[c] > first ? begins[c] - first : 0,
                     end = begins[c + 1] < first + n ? begins[c + 1] - first : n;
  if (k >= x.d || begin >= end) return;
  constexpr int kAhead = 8;  // loads in flight
  double total = totals[c * x.d + k];
  std::int64_t r = begin;
  for (; r + kAhead <= end; r += kAhead) {
    double next[kAhead];
#pragma unroll
    for (int i = 0; i < kAhead; ++i) next[i] = number<S>(x, order[r + i], k);
#pragma unroll
    for (int i = 0; i < kAhead; ++i) total = plus(total, next[i]);
  }
  for (; r < end; ++r) total = plus(total, number<S>(x, order[r], k));
  totals[c * x.d + k] = total;
}

// Columns [first, first + kFarColumns) of one panel: read row by row, written column by column.
template <class T, bool Wide>
__global__ void __launch_bounds__(kThreads) pack(const __grid_constant__ FarPanels<T> work) {
  using S = std::conditional_t<Wide, double, float>;
  const int blocks = (work.padded + kFarColumns - 1) / kFarColumns;
  const std::int64_t p = block() / blocks;
  const int first = int(block() % blocks) * kFarColumns, d = work.x.d;
  const int n = work.padded - first < kFarColumns ? work.padded - first : kFarColumns;
  const bool alone = work.depth == 1;  // a row is its sign
  T* const held = shared_memory<T>();  // (kFarColumns, kFarStride)
  const auto sign = [](double a) { return a > 0 ? 1.0 : a < 0 ? -1.0 : 0.0; };
  for (int e = thread(); e < n * kWidth; e += kThreads) {
    const int r = e / n, k = first + e % n;
    const Scaling& s = work.rows[p * kWidth + r];
    double value = 0;
    if (s.row >= 0 && k < d) {
      const double a = number<S>(work.x, s.row, k);
      if (s.cls >= 0) {
        const double m = work.means[std::ptrdiff_t(s.cls) * d + k];
        value = alone ? sign(a) - sign(m) : minus(times(minus(a, m), s.f), times(m, s.g));
      } else {
        value = alone ? sign(a) : times(a, s.f);
      }
    } else if (s.row >= 0 && k < work.depth) {
      value = s.last;
    }
    held[(k - first) * kFarStride + r] = T(value);
  }
  barrier();
  T* const panel = work.panels + (p * work.padded + first) * kWidth;
  for (int k = 0; k < n; ++k) panel[k * kWidth + thread()] = held[k * kFarStride + thread()];
}

}  // namespace nc1fast::device
