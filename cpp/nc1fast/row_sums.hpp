// Row sums of a unit or a tile, added as integers (integers.hpp), a vector at a time.
#pragma once

#include "nc1fast/integers.hpp"
#include "nc1fast/vec.hpp"

namespace nc1fast {

template <class Isa>
struct RowSums {
  using V = Vec<double, Isa>;
  using Mask = math::Bits<V>;
  using Integers = Vec<std::int64_t, Isa>;
  static constexpr int kL = kLanes<double, Isa>;

  // target[i] += sums[i] row[i] column for i in [begin, end), scales being powers of two. False where one is NaN or
  // beyond its bound.
  static bool add(std::int64_t* target, const double* sums, const double* row, double column, int begin, int end) {
    constexpr double bound = 0x1p62;
    Mask outside{};
    int i = begin;
    for (; i + kL <= end; i += kL) {
      const V y = load<V>(sums + i) * load<V>(row + i) * column;
      const Mask inside = math::Ops<V>::abs(y) <= bound;
      outside |= ~inside;
      const V whole = nearest(V(inside ? y : V{}));
      store(target + i, load<Integers>(target + i) + __builtin_convertvector(whole, Integers));
    }
    bool finite = true;
    for (int l = 0; l < kL; ++l) finite &= outside[l] == 0;
    for (; i < end; ++i) {
      const double y = sums[i] * row[i] * column;
      const bool inside = __builtin_fabs(y) <= bound;
      finite &= inside;
      target[i] += std::int64_t(nearest(inside ? y : 0.0));
    }
    return finite;
  }
};

}  // namespace nc1fast
