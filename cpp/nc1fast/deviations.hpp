// Rows of one class about a shift: the sums of their deviations, and of the squares of these.
//
// What limits this is memory, not arithmetic: each row meets a shift and sums of its own. So the numbers of the piece
// that comes next are fetched meanwhile.
#pragma once

#include "nc1fast/pass.hpp"

namespace nc1fast {

template <class T, class Isa>
struct DeviationSums {
  static constexpr int kLanes = 32;  // sums of squares that run side by side
  static constexpr int kLine = 64;   // bytes

  // Adds to the sums; returns the sum of squares.
  template <class S>
  static double add(const Deviations<T, S>& of) {
    double squares[kLanes] = {};
    for (std::int64_t r = 0; r < of.n; ++r) {
      const T* x = of.rows + of.index[r] * of.stride;
      const bool last = r + 1 == of.n;
      const T* ahead = last ? of.next_row : of.rows + of.index[r + 1] * of.stride;
      int k = 0;
      for (; k + kLanes <= of.width; k += kLanes) {
        fetch<0>(ahead + k);
        if (last) {
          fetch<0>(of.next_shift + k);
          fetch<1>(of.next_sums + k);
        }
        for (int l = 0; l < kLanes; ++l) {
          const double deviation = double(x[k + l]) - double(of.shift[k + l]);
          of.sums[k + l] += deviation;
          squares[l] += deviation * deviation;
        }
      }
      for (int l = 0; k + l < of.width; ++l) {
        const double deviation = double(x[k + l]) - double(of.shift[k + l]);
        of.sums[k + l] += deviation;
        squares[l] += deviation * deviation;
      }
    }
    double sum = 0;
    for (const double part : squares) sum += part;
    return sum;
  }

 private:
  // kLanes numbers; an address may be anything.
  template <int kWrite, class N>
  [[gnu::always_inline]] static void fetch(const N* from) {
    for (int byte = 0; byte < int(kLanes * sizeof(N)); byte += kLine)
      __builtin_prefetch(reinterpret_cast<const char*>(from) + byte, kWrite);
  }
};

}  // namespace nc1fast
