// How large sums can become: the powers of two that turn them into integers, fixed by the survey before the first tile
// runs. Bounds: Cauchy-Schwarz, |k_ij| <= sqrt(k_ii k_jj); and D2_ij <= 2 (D2_im + D2_jm) for the reference row m.
#pragma once

#include <vector>

#include "engine.hpp"

namespace nc1fast {

// Of the sum over j in its class of D2_ij: `reference` is D2_im, `total` its sum over the `size` rows of the class.
double row_scale_within(double reference, double size, double total);

// Sums of every kernel that is summed, zero, with their exponents and scales. depth: of a packed row.
std::vector<KernelSums> empty_sums(const Survey& survey, const std::vector<std::int64_t>& begins,
                                   const Kernels& kernels, int depth, const Options& options);

}  // namespace nc1fast
