// What belongs to one row: the quantities of every layer, the diagonal of every kernel, and how fast each kernel moves
// with the angle, from which error bounds follow. float64, once per row.
#pragma once

#include <memory>
#include <vector>

#include "packing.hpp"

namespace nc1fast {

struct OutputRow {
  double k;          // k_ii
  double slope;      // lambda^2 = max(k_ii, -dk/dm at rho = 1): |k_ij - k'_ij| <= lambda_i lambda_j |m - m'|
  double mu;         // root kernels: sqrt of -dk/d(angle) at angle 0; 0 otherwise
  double reference;  // bound on D2 to the reference row (to the origin: k_ii)
};

// One layer of one row.
struct Layer {
  Row<double> row;
  Link<double> link;
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
  // outputs: (n_outputs,) filled from the layers. `slack`: relative rounding of a tile.
  virtual void outputs(const RowInput& in, const Reference& reference, double slack, const Layer* layers,
                       OutputRow* outputs) const = 0;
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
