#include "expressions.hpp"

#include <algorithm>
#include <cmath>

#include "nc1fast/expressions.hpp"

namespace nc1fast {

static constexpr double kTermRoundings = 8;  // of a sum or product and of its terms, in a tile, in units of u

static OutputRow scaled(OutputRow x, double factor) {
  for (double* part : {&x.k, &x.slope, &x.noise, &x.shift, &x.floor, &x.reference, &x.at_reference, &x.excess})
    *part *= factor;
  x.mu *= std::sqrt(factor);
  x.diagonal = x.diagonal * factor + x.k;
  x.noise += kTermRoundings * x.k;
  return x;
}

// Bound on D2 to the reference row, by a way that is `along`; to the origin where a leaf is not measured from that row.
static double reference_of(const OutputRow& x, double along, double k, bool measured) {
  return measured ? std::min(along, 2.02 * (k + x.at_reference)) : k;
}

static OutputRow sum_of(const OutputRow& x, const OutputRow& y, double) {
  OutputRow z{};
  z.k = x.k + y.k;
  z.diagonal = x.diagonal + y.diagonal + z.k;
  z.slope = x.slope + y.slope;
  z.noise = x.noise + y.noise + kTermRoundings * z.k;
  z.shift = x.shift + y.shift;
  z.floor = x.floor + y.floor;
  z.mu = std::hypot(x.mu, y.mu);
  z.measured = x.measured && y.measured;
  z.at_reference = x.at_reference + y.at_reference;
  z.excess = x.excess + y.excess;
  z.reference = reference_of(z, x.reference + y.reference, z.k, z.measured);
  return z;
}

static OutputRow product_of(const OutputRow& x, const OutputRow& y, double) {
  // What tiles find of a kernel stays within 1 % of sqrt(k_ii k_jj): no errors multiply.
  const auto rule = [&](double OutputRow::* part) { return 1.02 * (x.*part * y.k + x.k * y.*part); };
  OutputRow z{};
  z.k = x.k * y.k;
  z.diagonal = rule(&OutputRow::diagonal) + z.k;
  z.slope = rule(&OutputRow::slope);
  z.noise = rule(&OutputRow::noise) + kTermRoundings * z.k;
  z.shift = rule(&OutputRow::shift);
  z.floor = rule(&OutputRow::floor);
  z.mu = 1.01 * std::sqrt(x.mu * x.mu * y.k + x.k * y.mu * y.mu);
  z.measured = x.measured && y.measured;
  z.at_reference = x.at_reference * y.at_reference;
  z.excess = x.excess * y.k + x.at_reference * y.excess;
  // phi' phi'' - phi'_m phi''_m = (phi' - phi'_m) phi'' + phi'_m (phi'' - phi''_m)
  z.reference = reference_of(z, 2 * (x.reference * y.k + x.at_reference * y.reference), z.k, z.measured);
  return z;
}

OutputRow combined(const ExpressionSpec& expression, const std::vector<OutputRow>& outputs) {
  return value_of_terms<OutputRow>(expression.terms.data(), int(expression.terms.size()), 0, [&](int n) -> OutputRow {
    return outputs[std::size_t(expression.leaves[std::size_t(n)])];
  });
}

}  // namespace nc1fast
