// Cholesky's factor, rounded once: the elimination runs in unevaluated sums of two doubles (Dekker 1971), 2^-100
// relative for each operation, so that what it adds to the rounding of the entries is far below that.
#pragma once

#include <cstddef>

namespace nc1fast {

// Lower triangular L with L L^T = A, both (n, n) row by row; `rest` gets L - fl(L). Upper triangles are neither read
// nor written. False where A is not positive definite.
bool cholesky(const double* a, std::ptrdiff_t n, double* l, double* rest);

}  // namespace nc1fast
