// What becomes of the values of a unit: sums over class segments, added as integers (nc1fast/integers.hpp) by atomics.
// Thread c adds up column c, then thread r row r, each in a fixed order; a warp joins its 32 columns.
#pragma once

#include "device.hpp"
#include "nc1fast/integers.hpp"
#include "work.hpp"

namespace nc1fast::device {

inline constexpr int kGroup = 8;  // values added in type T before they are widened

// Modulo 2^128: the carry of the low half is known from what was there before.
__device__ __forceinline__ void add_to(std::uint64_t* total, Int128 x) {
  const std::uint64_t low = std::uint64_t(x), before = atomic_add(total, low);
  const std::uint64_t carry = before + low < low ? 1 : 0;
  atomic_add(total + 1, std::uint64_t(x >> 64) + carry);
}

__device__ __forceinline__ double warp_sum(double x) {
#pragma unroll
  for (int mask = kWarp / 2; mask > 0; mask /= 2) x += shuffle_xor(x, mask);
  return x;
}

// Sum of n numbers, number k of them at(k).
template <class T, class At>
__device__ __forceinline__ double sum_of(int n, const At& at) {
  double total = 0;
  int first = 0;
  for (; first + kGroup <= n; first += kGroup) {
    T group = 0;
#pragma unroll
    for (int k = 0; k < kGroup; ++k) group += at(first + k);
    total += double(group);
  }
  if (first == n) return total;
  T group = 0;
  for (; first < n; ++first) group += at(first);
  return total + double(group);
}

// Whether the rows of two classes, on the sides of p and of q, count in a unit. Between classes a pair of classes
// counts once, its rows on the side of the lower one where both sides are one panel.
template <bool Within>
__device__ __forceinline__ bool counts(bool diagonal, int row, int column) {
  return Within ? row == column : diagonal ? row < column : row != column;
}

// One output of the unit (p, q) over this thread's column, row r of it at(r), if it is summed. Within a class a unit
// off the diagonal counts twice (nc1fast/tiles.hpp).
template <bool Within, class T, class At>
__device__ __forceinline__ void reduce_columns(const SumsWork<T>& work, int p, int q, const At& at, int output) {
  const Pass<T>& pass = work.pass;
  const Scales& scales = pass.scales[output];
  const Sums& sums = work.sums[output];
  if (!sums.block) return;
  const bool diagonal = p == q;
  const int t = thread(), warp = t / kWarp * kWarp;
  const std::ptrdiff_t j = std::ptrdiff_t(q) * kWidth + t;
  const int own_column = work.classes[j];

  for (int a = pass.first_segment[p]; a < pass.first_segment[p + 1]; ++a) {
    const Segment row = pass.segments[a];
    const double column = sum_of<T>(row.end - row.begin, [=](int k) { return at(row.begin + k); });
    for (int b = pass.first_segment[q]; b < pass.first_segment[q + 1]; ++b) {
      const Segment segment = pass.segments[b];
      if (!counts<Within>(diagonal, row.cls, segment.cls) || segment.begin >= warp + kWarp || segment.end <= warp)
        continue;
      double x = warp_sum(t >= segment.begin && t < segment.end ? column : 0.0);
      if (Within && !diagonal) x *= 2;
      if (t != warp) continue;
      const std::ptrdiff_t pair = std::ptrdiff_t(row.cls) * pass.n_classes + segment.cls;
      Int128 integer;
      if (as_integer(x, scales.block[pair], integer))
        add_to(sums.block + 2 * pair, integer);
      else
        atomic_set(work.overflow);
    }
    if (sums.rows && !(Within && diagonal) && own_column >= 0 && counts<Within>(diagonal, row.cls, own_column))
      atomic_add(sums.rows + row.cls * work.n_rows + j,
                 std::uint64_t(as_integer(column, scales.row[j], scales.column[row.cls])));
  }
}

// The same of stored values, and their sums over rows.
template <bool Within, class T>
__device__ __forceinline__ void reduce(const SumsWork<T>& work, int p, int q, const T* values, int output) {
  const int t = thread();
  reduce_columns<Within>(work, p, q, [=](int r) { return values[r * kWidth + t]; }, output);
  const Pass<T>& pass = work.pass;
  const Scales& scales = pass.scales[output];
  const Sums& sums = work.sums[output];
  if (!sums.block || !sums.rows) return;
  const std::ptrdiff_t i = std::ptrdiff_t(p) * kWidth + t;
  const int own_row = work.classes[i];
  for (int b = pass.first_segment[q]; b < pass.first_segment[q + 1]; ++b) {
    const Segment segment = pass.segments[b];
    if (own_row < 0 || !counts<Within>(p == q, own_row, segment.cls)) continue;
    // Each thread begins at another column, so that a warp reads from all banks.
    const int n = segment.end - segment.begin, shift = t % n;
    const double row = sum_of<T>(n, [=](int k) {
      const int c = k + shift;
      return values[t * kWidth + segment.begin + (c < n ? c : c - n)];
    });
    atomic_add(sums.rows + segment.cls * work.n_rows + i,
               std::uint64_t(as_integer(row, scales.row[i], scales.column[segment.cls])));
  }
}

}  // namespace nc1fast::device
