// Kernels of infinitely wide recurrent networks: blocks of their Gram matrices, and diagonals.
#pragma once

#include <cstdint>

#include "isa/isa.hpp"
#include "layout.hpp"

namespace nc1fast {

// Sequence i: rows [begins[i], begins[i] + lengths[i]) of `steps`, of m finite numbers each.
struct Sequences {
  const double* steps = nullptr;
  const std::int64_t *begins = nullptr, *lengths = nullptr;
  std::ptrdiff_t n = 0;
};

// S_1 = sx2 <x_1, y_1>/m + sb2; S_t = sw2 V(S_{t-1}) + sx2 <x_t, y_t>/m + sb2; the kernel is sv2 V(S_T), or with
// `tangent` the NTK. V: E relu relu.
struct RecurrentKernel {
  double weight = 1, input = 1, bias = 0, readout = 1;
  bool tangent = false;
  int m = 0;
};

// values (x.n, z.n) of the kernel, z.steps == nullptr: of X with itself; errors: bounds on their errors, or null. The
// bits depend on no thread, nor on which other sequences there are. False when stopped; throws std::overflow_error for
// values on the diagonal that are out of range.
template <class T>
bool recurrent(const Routines<T>& on, const RecurrentKernel& kernel, const Sequences& x, const Sequences& z,
               int n_threads, const Poll& poll, T* values, double* errors);

// k(x_i, x_i), (n,), and bounds on their errors.
void recurrent_diagonal(const RecurrentKernel& kernel, const Sequences& x, double* values, double* errors);

}  // namespace nc1fast
