// Tiles on the processor.
#pragma once

#include "backend.hpp"

namespace nc1fast {

const Backend& cpu();

// out (n, d) = (k o A) X, A = scale inverse - factor factor^T, for the one kernel of `chain` and float64 rows X; of
// `inverse` (n, n) the upper triangle is read, `factor` is (n, n_outputs). False when stopped.
bool product(const Matrix& x, const ChainSpec& chain, double scale, const double* inverse, const double* factor,
             int n_outputs, int n_threads, const Poll& poll, double* out);

}  // namespace nc1fast
