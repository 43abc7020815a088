// What belongs to one row of an expression, from what belongs to its leaves.
//
// Diagonals and slopes in the correlation of the inputs follow the product rule; what bounds errors does too, since
//   |d(k' k'')_ij| <= |dk'_ij| sqrt(k''_ii k''_jj) + sqrt(k'_ii k'_jj) |dk''_ij|
// and sums of products of roots obey Cauchy-Schwarz (growth.hpp).
#pragma once

#include <vector>

#include "rows.hpp"

namespace nc1fast {

// Of a row, by the outputs of all chains.
OutputRow combined(const ExpressionSpec& expression, const std::vector<OutputRow>& outputs);

// The last of the kernels: an expression, or the only kernel of the only chain.
inline OutputRow kernel_of_row(const Kernels& kernels, const std::vector<OutputRow>& outputs) {
  return kernels.expressions.empty() ? outputs.back() : combined(kernels.expressions.back(), outputs);
}

}  // namespace nc1fast
