#include "packing.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace nc1fast {

namespace {

// terms(k, sums): what element k adds to N sums. Each has kLanesOfSums parts.
template <int N, class Terms>
std::array<double, N> sums_of(int d, const Terms& terms) {
  double parts[N][kLanesOfSums] = {};
  const auto add = [&](int k, int lane) {
    const std::array<double, N> x = terms(k);
    for (int n = 0; n < N; ++n) parts[n][lane] += x[std::size_t(n)];
  };
  int k = 0;
  for (; k + kLanesOfSums <= d; k += kLanesOfSums)
    for (int lane = 0; lane < kLanesOfSums; ++lane) add(k + lane, lane);
  for (int lane = 0; k < d; ++k, ++lane) add(k, lane);
  std::array<double, N> out;
  for (int n = 0; n < N; ++n) {
    double* p = parts[n];
    for (int half = kLanesOfSums / 2; half > 0; half /= 2)
      for (int lane = 0; lane < half; ++lane) p[lane] += p[lane + half];
    out[std::size_t(n)] = p[0];
  }
  return out;
}

}  // namespace

double Frame::square(const double* row) const {
  return sums_of<1>(d, [row](int k) { return std::array{row[k] * row[k]}; })[0] * (1.0 / d);
}

RowInput Frame::measure(const double* row, std::size_t cls) const {
  if (!centred(cls)) {  // t to the row of zeros, which without a bias has no direction
    const double a = square(row), r = radius(a);
    return {a, 0, r > 0 ? layer.wx * a / (r * (r + std::sqrt(layer.wb))) : 1, 1, false};
  }
  const double* m = means.mean.data() + cls * std::size_t(d);
  const double per_feature = 1.0 / d;
  const auto [norm, difference, distance] = sums_of<3>(d, [row, m](int k) {
    const double step = row[k] - m[k];
    return std::array{row[k] * row[k], step * (row[k] + m[k]), step * step};
  });
  const double a = norm * per_feature, da = difference * per_feature;
  // |r u - r_m u_m|^2 = (r - r_m)^2 + 2 r r_m t
  const double r_i = radius(a), r_m = radius(means.norm[cls]);
  const double dr = layer.wx * da / (r_i + r_m);
  const double square = layer.wx * distance * per_feature;
  const double t = std::clamp((square * (1 + 1e-14) - dr * dr) / (2 * r_i * r_m), 0.0, 2.0);
  return {a, da, t, std::sqrt(std::max(square, 0x1p-1000)) / r_i, true};
}

template <class T>
Packed<T>::Packed(int width_, int depth_, std::size_t row, std::size_t n_rows_)
    : width(width_),
      depth(depth_),
      panel(row * std::size_t(width)),
      n_rows((n_rows_ + std::size_t(width) - 1) / std::size_t(width) * std::size_t(width)),
      panels(n_rows * row),
      half_norms(n_rows),
      displacements(n_rows) {}

template <class T>
void Packed<T>::set(std::size_t at, const Frame& frame, bool centre, const double* row, const RowInput& in,
                    std::size_t cls) {
  const std::size_t d = std::size_t(frame.d), w = std::size_t(width);
  T* out = panels.get() + at / w * panel + at % w;
  half_norms[at] = 0;
  displacements[at] = 0;
  if (!row) {
    for (int k = 0; k < depth; ++k) out[std::size_t(k) * w] = T(0);
    return;
  }
  displacements[at] = T(centre ? in.displaced : 1);
  const double radius = frame.radius(in.a), reciprocal = radius > 0 ? 1 / radius : 0;
  // A zero row has no direction: half = 1/2 makes it orthogonal to every row, itself included.
  if (radius == 0) half_norms[at] = T(0.5);
  const double scale = std::sqrt(frame.layer.wx / double(d)), offset = std::sqrt(frame.layer.wb);
  const bool bias = depth > frame.d;
  const double f = scale * reciprocal;
  if (!centre || !frame.centred(cls)) {
    for (std::size_t k = 0; k < d; ++k) out[k * w] = T(row[k] * f);
    if (bias) out[d * w] = T(offset * reciprocal);
    if (depth == 1 && !bias) out[0] = T(row[0] > 0 ? 1 : row[0] < 0 ? -1 : 0);
    return;
  }
  // u - u_m = (x - x_m)/r - x_m (r - r_m)/(r r_m), of the augmented rows
  const double* m = frame.means.mean.data() + cls * d;
  if (depth == 1 && !bias) {
    out[0] = T((row[0] > 0 ? 1 : -1) - (m[0] > 0 ? 1 : -1));
    return;
  }
  const double radius_m = frame.radius(frame.means.norm[cls]);
  const double g = frame.layer.wx * in.da / (radius + radius_m) * reciprocal / radius_m;
  for (std::size_t k = 0; k < d; ++k) out[k * w] = T((row[k] - m[k]) * f - m[k] * (scale * g));
  if (bias) out[d * w] = T(-offset * g);
}

template <class T>
void Packed<T>::finish(std::size_t begin, std::size_t end, const RowProducts<T>& products) {
  T halves[kRowStep];
  for (std::size_t first = begin; first < end; first += std::size_t(width)) {
    products.finish(panels.get() + first / std::size_t(width) * panel, 1, depth, halves);
    for (std::size_t r = 0; r < std::size_t(width); ++r)
      if (halves[r] != 0) half_norms[first + r] = halves[r];
  }
}

template struct Packed<float>;
template struct Packed<double>;

}  // namespace nc1fast
