#include "scales.hpp"

#include <algorithm>
#include <cmath>

#include "chains.hpp"

namespace nc1fast {
namespace {

// Smallest e with |x| < 2^e, within what a double can scale by.
int exponent_above(double x) {
  int e = 0;
  std::frexp(x, &e);
  return std::clamp(e, -900, 1000);
}

}  // namespace

double row_scale_within(double reference, double size, double total) {
  return std::ldexp(1.0, 61 - exponent_above(2.02 * (size * reference + total)));
}

std::vector<KernelSums> empty_sums(const Survey& survey, const std::vector<std::int64_t>& begins,
                                   const Kernels& kernels, int depth, const Options& options) {
  const std::size_t n_classes = begins.size() - 1;
  // Of a sensitivity: an angle is off by 2 sqrt(noise) at most, a value that has passed several roots by 2.
  const auto cap = [&](bool single, bool rooted) {
    const Rounding rounding(single, depth, depth);
    return rooted ? 1 / rounding.noise : 1 / std::sqrt(rounding.noise);
  };
  const double least = std::sqrt(Rounding(options.single_within, depth, depth).least);
  std::vector<KernelSums> all;
  for (const KernelTraits& traits : traits_of(kernels)) {
    const KernelSurvey& of = survey.kernels.at(all.size());
    KernelSums& sums = all.emplace_back();
    if (!traits.summed) continue;
    sums.block.assign(n_classes * n_classes, 0);
    sums.exponent.assign(n_classes * n_classes, 0);
    const bool root = traits.root, rooted = traits.root_value;
    const double cap_within = cap(options.single_within, rooted), cap_between = cap(options.single_between, rooted);
    if (root) {
      sums.sensitivity.assign(n_classes * n_classes, 0);
      sums.sensitivity_exponent.assign(n_classes * n_classes, 0);
    }
    for (std::size_t i = 0; i < n_classes; ++i)
      for (std::size_t j = i; j < n_classes; ++j) {
        const std::size_t at = i * n_classes + j;
        const double size = double(begins[i + 1] - begins[i]);
        sums.exponent[at] = exponent_above(1.01 * (i == j ? 4 * size * of.references[i] : of.roots[i] * of.roots[j]));
        if (!root) continue;
        const double moves =
            i == j ? cap_within * of.moves[i] * (rooted ? of.moves[i] : 4 * of.spread_moves[i] + least * of.moves[i])
                   : cap_between * of.moves[i] * of.moves[j];
        sums.sensitivity_exponent[at] = exponent_above(4.04 * traits.margin * moves);
      }
    if (!options.row_sums) continue;
    sums.row_scale.reserve(of.k.size());
    for (const double k : of.k) sums.row_scale.push_back(std::ldexp(1.0, 31 - exponent_above(1.01 * std::sqrt(k))));
    for (const double root_sum : of.roots)
      sums.column_scale.push_back(std::ldexp(1.0, 30 - exponent_above(1.01 * root_sum)));
  }
  return all;
}

}  // namespace nc1fast
