// What belongs to one row: the quantities of every layer, the diagonal of every kernel, and how fast each kernel moves
// with the angle, from which error bounds follow. float64, once per row.
#pragma once

#include <memory>
#include <vector>

#include "engine.hpp"

namespace nc1fast {

// Where a row stands: A = |x|^2/d0; about its class's reference row m, dA = A - A_m without cancellation and
// t_m = |u - u_m|^2/2. A class without a usable reference direction (centred = false) is measured from the origin.
struct RowInput {
  double a, da, t_m;
  bool centred;
};

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

// One per thread: clone() before work is shared out.
class RowStage {
 public:
  virtual ~RowStage() = default;
  // Layers of the reference row of a class, kept for the rows that follow.
  virtual void set_reference(double a_m) = 0;
  // layers: (levels,) filled; outputs: (n_outputs,) filled. `slack`: relative rounding of a tile. Throws
  // std::overflow_error where a value overflows.
  virtual void row(const RowInput& in, double slack, Layer* layers, OutputRow* outputs) const = 0;
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
