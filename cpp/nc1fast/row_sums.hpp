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
      store(target + i, load<Integers>(target + i) + nearest(inside ? y : V{}));
    }
    bool finite = true;
    for (int l = 0; l < kL; ++l) finite &= outside[l] == 0;
    for (; i < end; ++i) {
      const double y = sums[i] * row[i] * column;
      const bool inside = __builtin_fabs(y) <= bound;
      finite &= inside;
      target[i] += nc1fast::nearest(inside ? y : 0.0);
    }
    return finite;
  }

 private:
  // As for one number.
  [[gnu::always_inline]] static Integers nearest(V y) {
    constexpr double shift = 0x1.8p52;
    return __builtin_convertvector(math::Ops<V>::abs(y) < 0x1p51 ? (y + shift) - shift : y, Integers);
  }
};

}  // namespace nc1fast
