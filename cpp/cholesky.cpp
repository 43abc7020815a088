#include "cholesky.hpp"

#include <cmath>

namespace nc1fast {
namespace {

struct Pair {
  double high, low;  // |low| <= ulp(high)/2
};

// The exact sum of two doubles, the first of which is not the smaller one.
Pair quick_sum(double a, double b) {
  const double s = a + b;
  return {s, b - (s - a)};
}

Pair exact_sum(double a, double b) {
  const double s = a + b, t = s - a;
  return {s, (a - (s - t)) + (b - t)};
}

// c - a b
Pair minus_product(Pair c, Pair a, Pair b) {
  const double p = a.high * b.high;
  const double error = std::fma(a.high, b.high, -p) + (a.high * b.low + a.low * b.high);
  const Pair s = exact_sum(c.high, -p);
  return quick_sum(s.high, s.low + (c.low - error));
}

Pair quotient(Pair a, Pair b) {
  const double q = a.high / b.high;
  const Pair rest = minus_product(a, {q, 0.0}, b);
  return quick_sum(q, rest.high / b.high);
}

Pair root(Pair a) {
  const double r = std::sqrt(a.high);
  return quick_sum(r, (std::fma(-r, r, a.high) + a.low) / (2 * r));
}

}  // namespace

bool cholesky(const double* a, std::ptrdiff_t n, double* l, double* rest) {
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    const double *high = l + i * n, *low = rest + i * n;
    for (std::ptrdiff_t j = 0; j <= i; ++j) {
      Pair s{a[i * n + j], 0.0};
      for (std::ptrdiff_t k = 0; k < j; ++k) s = minus_product(s, {high[k], low[k]}, {l[j * n + k], rest[j * n + k]});
      if (i == j && !(s.high > 0)) return false;
      const Pair entry = i == j ? root(s) : quotient(s, {l[j * n + j], rest[j * n + j]});
      l[i * n + j] = entry.high;
      rest[i * n + j] = entry.low;
    }
  }
  return true;
}

}  // namespace nc1fast
