#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "engine.hpp"
#include "nc1fast/number.hpp"
#include "nc1fast/pairs.hpp"

namespace nc1fast {

namespace {

// rho = c/sqrt(ab) and m = 1 - |rho| = sin^2/(1 + |cos|); of a variance of zero, rho = 1.
Pair<double> pair_of_covariance(double scale, double c, double s) {
  if (!(scale > 0)) return pair_of_sign(1.0, 0.0);
  const double cosine = std::abs(c) / scale, sine = s / scale, m = sine * sine / (1 + cosine);
  return pair_of_sign(c, m);
}

}  // namespace

void duals(const std::string& activation, double parameter, std::int64_t n, const double* a, const double* b,
           const double* c, const double* s, double* out) {
  const int index = activation_index(Activations{}, activation.c_str());
  if (index < 0) throw std::invalid_argument("unknown activation " + activation);
  visit_activation(Activations{}, index, [&]<class Act>() {
    if (Act::is_series) throw std::invalid_argument("a series has no dual activation without its table");
    const Act act(parameter);
    for (std::int64_t k = 0; k < n; ++k) {
      Row<double> i{}, j{};
      act.row(a[k], i);
      act.row(b[k], j);
      const Dual<double> d = act.dual(pair_of_covariance(std::sqrt(a[k]) * std::sqrt(b[k]), c[k], s[k]), i, j);
      out[k] = i.h * j.h * d.value;
      out[n + k] = d.derivative;
    }
  });
}

}  // namespace nc1fast
