// Rows into panels: unit rows (between classes, Gram matrices), or rows centred within their class.
#pragma once

#include <cmath>
#include <vector>

#include "buffer.hpp"
#include "engine.hpp"
#include "scaling.hpp"

namespace nc1fast {

inline constexpr int kLanesOfSums = 32;  // partial sums of |x|^2 and its like: their error grows with d/32 only

// How far packed rows of d features, augmented to `depth`, may be off: a product of two by noise (|u|^2 + |v|^2)/2, and
// a row by `displacement` times its distance from the reference row, relative to its length.
struct Rounding {
  double noise, displacement;
  double least;  // what vanishes in a product, over noise
  Rounding(bool single, int d, int depth)
      : noise((2 * depth + 8) * (single ? 0x1p-24 : 0x1p-53)),
        displacement(2 * (single ? 0x1p-24 : 0x1p-53) + (2.0 * d / kLanesOfSums + 24) * 0x1p-53),
        least(depth * (single ? 0x1p-126 : 0x1p-1022) / noise) {}
};

// Where a row stands: A = |x|^2/d0; about its class's reference row m, dA = A - A_m without cancellation,
// t_m = |u - u_m|^2/2 and displaced = |x - x_m|/|x|. A class without a usable reference direction (centred = false) is
// measured from the origin.
struct RowInput {
  double a, da, t_m, displaced;
  bool centred;
};

// Rows of d features as an input layer sees them, about the means of their classes (none: about the origin). float64.
struct Frame {
  InputLayer layer;
  int d;
  Means means;

  int depth() const { return d + (layer.wb > 0 ? 1 : 0); }  // of a packed row
  double radius(double a) const { return std::sqrt(layer.wx * a + layer.wb); }
  bool centred(std::size_t cls) const { return !means.centred.empty() && means.centred[cls]; }
  double per_feature(double sum) const { return sum * (1.0 / d); }
  // |x|^2/d0
  double square(const double* row) const;
  RowInput measure(const double* row, std::size_t cls) const { return input(lengths(row, cls), cls); }
  RowLengths lengths(const double* row, std::size_t cls) const;
  RowInput input(const RowLengths& of, std::size_t cls) const;
};

// Rows that are read and packed together, and where they stand.
struct RowGroup {
  std::int64_t n = 0;            // at most kRowStep
  const double* rows[kRowStep];  // not of rows that are far away
  RowInput inputs[kRowStep];
  std::size_t classes[kRowStep];
  std::int64_t stored[kRowStep];  // of those: which they are
};

// Panels of `width` rows, k-major: unit rows, or unit rows minus the unit row of the class mean.
template <class T>
struct Packed {
  int width = 0, depth = 0;
  std::size_t panel = 0;                        // numbers of a panel, those it is finished with included
  std::size_t n_rows = 0;                       // room for
  Buffer<T> panels, half_norms, displacements;  // (n_panels, depth, width), (n_rows,) |u|^2/2 and RowInput::displaced
  std::vector<Scaling> scalings;                // (n_rows,) instead of panels: of rows that are packed elsewhere
  Packed() = default;
  // row: numbers of one; 0: they are packed elsewhere.
  Packed(int width, int depth, std::size_t row, std::size_t n_rows);
  static std::size_t row_bytes(std::size_t row) { return (row + 2) * sizeof(T) + (row == 0 ? sizeof(Scaling) : 0); }
  // Rows [at, at + count), count even: those of a group, then padding.
  void set(std::size_t at, std::size_t count, const Frame& frame, bool centre, const RowGroup& group);
  // Rows [begin, end), which fill panels, are ready to be multiplied.
  void finish(std::size_t begin, std::size_t end, const RowProducts<T>& products);

 private:
  T* column(std::size_t at) const { return panels.get() + at / std::size_t(width) * panel + at % std::size_t(width); }
};

}  // namespace nc1fast
