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
  return std::clamp(e, -450, 1000);
}

}  // namespace

double row_scale_within(double reference, double size, double total) {
  return std::ldexp(1.0, 61 - exponent_above(2.02 * (size * reference + total)));
}

std::vector<KernelSums> empty_sums(const Survey& survey, const std::vector<std::int64_t>& begins,
                                   const std::vector<ChainSpec>& chains, int depth, const Options& options) {
  const std::size_t n_classes = begins.size() - 1;
  const auto cap = [&](bool single) { return single ? double(chord_cap<float>(depth)) : chord_cap<double>(depth); };
  const double cap_within = cap(options.single_within), cap_between = cap(options.single_between);
  std::vector<KernelSums> all;
  for (const ChainSpec& chain : chains)
    for (const OutputSpec& output : chain.outputs) {
      const KernelSurvey& of = survey.kernels.at(all.size());
      KernelSums& sums = all.emplace_back();
      sums.block.assign(n_classes * n_classes, 0);
      sums.exponent.assign(n_classes * n_classes, 0);
      const bool root = chain.root(output);
      if (root) {
        sums.sensitivity.assign(n_classes * n_classes, 0);
        sums.sensitivity_exponent.assign(n_classes * n_classes, 0);
      }
      for (std::size_t i = 0; i < n_classes; ++i)
        for (std::size_t j = i; j < n_classes; ++j) {
          const std::size_t at = i * n_classes + j;
          const double size = double(begins[i + 1] - begins[i]);
          sums.exponent[at] = exponent_above(1.01 * (i == j ? 4 * size * of.references[i] : of.roots[i] * of.roots[j]));
          // Spreads are those of the survey, not of packed rows: twice as much leaves room for the rounding of these.
          if (root)
            sums.sensitivity_exponent[at] =
                exponent_above(2.02 * (i == j ? cap_within * 2 * of.moves[i] * of.spread_moves[i]
                                              : cap_between * 2 * of.moves[i] * of.moves[j]));
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
