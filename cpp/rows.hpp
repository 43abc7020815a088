// What belongs to one row: the quantities of every layer, the diagonal of every kernel, and how fast each kernel moves
// with the angle, from which error bounds follow. float64, once per row.
#pragma once

#include <memory>
#include <vector>

#include "packing.hpp"

namespace nc1fast {

struct OutputRow {
  double k;                     // k_ii
  double diagonal;              // its error, in units of 2^-53
  double slope;                 // lambda^2: |dk_ij| <= lambda_i lambda_j |dt| (without the part of a root)
  double noise;                 // nu^2: |dk_ij| <= u nu_i nu_j by the roundings of the recursion,
  double shift;                 // and 2^-53 shift_i shift_j (shift^2) by those of what is known of the row
  double floor;                 // |dk_ij| by the least numbers that tiles know, in units of the smallest normal one
  double mu;                    // root kernels: |dk_ij| <= mu_i mu_j |dtheta|; 0 otherwise
  double reference;             // bound on D2 to the reference row (to the origin: k_ii)
  bool measured;                // from a reference row m, not from the origin of feature space
  double at_reference, excess;  // k_mm, and k_ii - k_mm without cancellation where D2 has none
};

// E phi^2 and E phi'^2 of a layer.
struct Diagonal {
  double value, slope;
};

// One layer of one row.
struct Layer {
  Row<double> row;
  Link<double> link;
  Diagonal diagonal;
  std::vector<double> series;  // coefficients of an activation that is one
  Link<double> lift;           // of the input layer: from the row without its bias
  double variance() const { return row.s * row.s; }
};

// The reference row of a class.
struct Reference {
  std::vector<Layer> layers;
  std::vector<double> k;  // of every output
};

// One per thread: clone() before work is shared out.
class RowStage {
 public:
  virtual ~RowStage() = default;
  virtual Reference reference(double a_m) const = 0;
  // layers: (levels,) filled. Throws std::overflow_error where a value overflows.
  virtual void layers(const RowInput& in, const Reference& reference, Layer* layers) const = 0;
  // outputs: (n_outputs,) filled from the layers of a row of d features; `rounding` is that of the tiles within
  // classes.
  virtual void outputs(const RowInput& in, const Reference& reference, int d, const Rounding& rounding,
                       const Layer* layers, OutputRow* outputs) const = 0;
  virtual std::unique_ptr<RowStage> clone() const = 0;
  virtual unsigned fields(bool within) const = 0;  // bits of Field that tiles read
};

std::unique_ptr<RowStage> make_row_stage(const ChainSpec& spec);

// The recursion with its coefficients in the type of a tile.
template <class T>
Recursion<T> make_recursion(const ChainSpec& spec) {
  Recursion<T> c;
  c.n_duals = spec.n_duals();
  c.theta_scale = T(spec.theta_scale);
  c.theta_offset = T(spec.theta_offset);
  for (std::size_t l = 0; l < spec.coefficients.size(); ++l) {
    c.q[l] = T(spec.coefficients[l][0]);
    c.one[l] = T(spec.coefficients[l][1]);
    c.theta[l] = T(spec.coefficients[l][2]);
  }
  return c;
}

}  // namespace nc1fast
