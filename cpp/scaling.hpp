// Of one row: what is measured of it, and how it is packed. Plain data, for devices too.
#pragma once

#include <cstdint>

namespace nc1fast {

// Sums over the features of a row: |x|^2, and about the mean m of its class (x - m)(x + m) and |x - m|^2; these are
// read where the class is centred.
struct RowLengths {
  double norm = 0, difference = 0, distance = 0;
};

// A packed row: (x - m) f - m g, and of its bias `last`. row: as it is stored; -1: padding. cls: whose mean m is; -1:
// it is not centred, and x f.
struct Scaling {
  double f = 0, g = 0, last = 0;
  std::int64_t row = -1;
  std::int32_t cls = -1;
};

}  // namespace nc1fast
