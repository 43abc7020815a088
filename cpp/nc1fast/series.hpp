// Any activation, by the Hermite coefficients c_k of phi at the variance of a row (Mehler):
//   kappa = h_i h_j sum_k c_ki c_kj rho^k,   kdot = d kappa/dc,   h^2 = E phi^2.
// A row has n of them, which are tabulated as functions of its variance, and what is left of E phi^2 and of E phi'^2 as
// the coefficients of one more power each: diagonals are exact, and errors are at most twice what is left.
#pragma once

#include "nc1fast/dual.hpp"

namespace nc1fast {

inline constexpr int kMostCoefficients = 512;

// Chebyshev coefficients of E[phi(s z) He_k(z)]/sqrt(k!), k < n_terms, of E phi^2 and of s^2 E phi'^2 as functions of
// log2 s, an interval for each power of two from 2^first on.
struct SeriesTable {
  const double* values = nullptr;  // (n_intervals, n_nodes, n_terms + 2)
  int n_terms = 0, first = 0, n_intervals = 0, n_nodes = 0;
  double accuracy = 0;  // of the tabulated vectors, relative to their lengths
};

struct Series : Smooth {
  static constexpr const char* name = "series";
  static constexpr unsigned fields = bit(kNu);
  static constexpr bool is_series = true;
  int n_terms;
  const SeriesTable* table = nullptr;  // where rows are measured,
  double* found = nullptr;             // and room for the n_terms + 2 coefficients of one
  NC1FAST_HD explicit Series(double n) : n_terms(int(n)) {}

  template <class V>
  NC1FAST_HD Dual<V> dual(Pair<V> p, const Row<V>& i, const Row<V>& j) const {
    using T = Lane<V>;
    const auto product = [&](int k) __attribute__((always_inline)) {
      return i.series[k * i.stride] * load<V>(j.series + k * j.stride);
    };
    V value = product(n_terms), slope = product(n_terms + 1);
    for (int k = n_terms - 1; k > 0; --k) {
      const V c = product(k);
      value = value * p.rho + c;
      slope = slope * p.rho + T(k) * c;
    }
    return {value * p.rho + product(0), i.nu * j.nu * slope, splat<V>(0)};
  }

  void row(double a, Row<double>& r) const {
    r.h = __builtin_sqrt(coefficients(a).value);
    r.nu = a > 0 ? r.h / __builtin_sqrt(a) : 0;
    r.series = found;
    r.stride = 1;
  }

  // c_k into `found`, the last two for what is left. NaN beyond the table.
  struct Moments {
    double value, slope;  // E phi^2 and a E phi'^2
  };
  Moments coefficients(double a) const {
    int exponent = 0;
    const double s = __builtin_sqrt(a), fraction = __builtin_frexp(s, &exponent);  // s = fraction 2^exponent
    const int interval = exponent - 1 - table->first;
    if (!(s > 0) || interval < 0 || interval >= table->n_intervals) {
      for (int k = 0; k < n_terms + 2; ++k) found[k] = __builtin_nan("");
      return {found[0], found[0]};
    }
    const double t = 2 * __builtin_log2(2 * fraction) - 1;
    const double* from = table->values + std::ptrdiff_t(interval) * table->n_nodes * (n_terms + 2);
    for (int k = 0; k < n_terms + 2; ++k) found[k] = 0;
    double before = t, now = 1;  // T_-1 = T_1
    for (int node = 0; node < table->n_nodes; ++node, from += n_terms + 2) {
      for (int k = 0; k < n_terms + 2; ++k) found[k] += now * from[k];
      const double next = 2 * t * now - before;
      before = now;
      now = next;
    }
    const Moments moments{found[n_terms], found[n_terms + 1]};
    double rest = 1, rest_slope = moments.slope / moments.value;
    const double scale = 1 / __builtin_sqrt(moments.value);
    for (int k = 0; k < n_terms; ++k) {
      found[k] *= scale;
      rest -= found[k] * found[k];
      rest_slope -= k * found[k] * found[k];
    }
    found[n_terms] = __builtin_sqrt(larger(rest, 0.0));
    found[n_terms + 1] = __builtin_sqrt(larger(rest_slope, 0.0));
    return moments;
  }

  // With s dc_k/ds = k h_k + sqrt((k+1)(k+2)) h_{k+2} of phi, and likewise of phi', whose coefficients are sqrt(k)
  // h_k/s.
  struct Growths {
    double drift, radial, bend, swing, degree;
  };
  Growths growths(double a) const {
    const Moments moments = coefficients(a);
    const auto h = [this](int k) { return k < n_terms ? found[k] : 0.0; };
    const int n = n_terms;
    const double rest = found[n] * found[n], rest_slope = found[n + 1] * found[n + 1];
    double along = n * rest, moved = n * rest_slope, turned = n * rest_slope, swung = double(n) * n * rest_slope;
    double slope = rest_slope, followed = n * rest_slope;
    for (int k = 0; k < n; ++k) {
      const double step = k * h(k) + __builtin_sqrt((k + 1.0) * (k + 2)) * h(k + 2);
      along += __builtin_fabs(h(k) * step);
      moved += step * step;
      if (k == 0) continue;
      const double e = __builtin_sqrt(double(k)) * h(k);  // of phi', number k - 1, times s
      const double e_step = (k - 1) * e + __builtin_sqrt(k * (k + 1.0) * (k + 2)) * h(k + 2);
      slope += e * e;
      turned += (k - 1) * e * e;
      swung += e_step * e_step;
      followed += __builtin_fabs(e * e_step);
    }
    const double q = moments.value, safe = slope > 0 ? slope : 1;
    return {q * along, 1.1 * larger(moved, 2 * followed) / safe + 1, q * turned / (a * a), q * swung / a,
            turned / safe};
  }
  double drift(double a, double) const { return growths(a).drift; }
  double radial(double a) const { return growths(a).radial; }
  double bend(double a) const { return growths(a).bend; }
  double swing(double a) const { return growths(a).swing; }
  double roundings(double a) const { return 2 * growths(a).degree; }
  double tabulated() const { return table->accuracy * 0x1p53; }
  Missing missing(double a) const {
    const Moments moments = coefficients(a);
    const double off = 2 * tabulated(), rest = found[n_terms], rest_slope = found[n_terms + 1];
    const double share = moments.slope > 0 ? moments.value / moments.slope : 0;
    return {off + 0x1p54 * rest * rest, off + 0x1p54 * rest_slope * rest_slope * share};
  }
};

}  // namespace nc1fast
