#include "packing.hpp"

#include <algorithm>
#include <cmath>

namespace nc1fast {

Rows::Rows(const Matrix& x_, const std::int64_t* order_, const std::vector<std::int64_t>& sizes, InputLayer layer_,
           int n_threads)
    : x(x_), order(order_), layer(layer_), depth(int(x_.d) + (layer_.wb > 0 ? 1 : 0)) {
  const std::size_t d = std::size_t(x.d);
  begins.push_back(0);
  if (sizes.empty())
    begins.push_back(x.n);
  else
    for (const std::int64_t size : sizes) begins.push_back(begins.back() + size);
  const std::size_t n_classes = begins.size() - 1;
  a = Buffer<double>(std::size_t(n()));
  da = Buffer<double>(std::size_t(n()));
  cls = Buffer<int>(std::size_t(n()));
  chord = Buffer<double>(std::size_t(n()));
  mean = Buffer<double>(n_classes * d);
  mean_a.assign(n_classes, 0.0);
  centred.assign(n_classes, 0);
  const double per_feature = 1.0 / double(d);
  // A class is one item: its mean is a sum in a fixed order, whatever the number of threads.
  parallel_for(std::int64_t(n_classes), n_threads, [&](int, std::int64_t c) {
    std::vector<double> row(d);
    double* m = mean.get() + std::size_t(c) * d;
    std::fill(m, m + d, 0.0);
    for (std::int64_t r = begins[c]; r < begins[c + 1]; ++r) {
      read(r, row.data());
      for (std::size_t k = 0; k < d; ++k) m[k] += row[k];
    }
    const double share = 1.0 / double(begins[c + 1] - begins[c]);
    double norm = 0;
    for (std::size_t k = 0; k < d; ++k) {
      m[k] *= share;
      norm += m[k] * m[k];
    }
    mean_a[std::size_t(c)] = norm * per_feature;
  });
  const std::int64_t block = 256;
  std::vector<std::atomic<std::int64_t>> zero_rows(n_classes);
  parallel_for((n() + block - 1) / block, n_threads, [&](int, std::int64_t item) {
    std::vector<double> row(d);
    for (std::int64_t r = item * block; r < std::min(n(), (item + 1) * block); ++r) {
      const auto c = std::upper_bound(begins.begin(), begins.end(), r) - begins.begin() - 1;
      read(r, row.data());
      const double* m = mean.get() + std::size_t(c) * d;
      double norm = 0, difference = 0, distance = 0;
      for (std::size_t k = 0; k < d; ++k) {
        const double step = row[k] - m[k];
        norm += row[k] * row[k];
        difference += step * (row[k] + m[k]);
        distance += step * step;
      }
      const std::size_t at = std::size_t(r);
      a[at] = norm * per_feature;
      da[at] = difference * per_feature;
      cls[at] = int(c);
      // |r u - r_m u_m|^2 = (r - r_m)^2 + 2 r r_m t
      const double r_i = radius(a[at]), r_m = radius(mean_a[std::size_t(c)]);
      const double dr = r_i + r_m > 0 ? layer.wx * da[at] / (r_i + r_m) : 0;
      const double square = layer.wx * distance * per_feature;
      chord[at] = r_i * r_m > 0 ? std::clamp((square * (1 + 1e-14) - dr * dr) / (2 * r_i * r_m), 0.0, 2.0) : 0.5;
      if (r_i == 0) ++zero_rows[c];
    }
  });
  for (std::size_t c = 0; c < n_classes; ++c) centred[c] = !sizes.empty() && zero_rows[c] == 0 && radius(mean_a[c]) > 0;
}

void Rows::read(std::int64_t r, double* buffer) const {
  const std::ptrdiff_t at = (order ? order[r] : r) * x.stride;
  if (x.single) {
    const float* row = static_cast<const float*>(x.data) + at;
    for (std::ptrdiff_t k = 0; k < x.d; ++k) buffer[k] = double(row[k]);
  } else {
    const double* row = static_cast<const double*>(x.data) + at;
    std::copy(row, row + x.d, buffer);
  }
}

template <class T>
Packed<T>::Packed(const Rows& rows, bool centre, const Routines<T>& routines, int n_threads)
    : width(routines.panel),
      n_panels(int((rows.n() + routines.panel - 1) / routines.panel)),
      depth(rows.depth),
      panels(std::size_t(n_panels) * std::size_t(depth) * std::size_t(width)),
      half_norms(n_rows()),
      spreads(n_rows()) {
  const std::size_t d = std::size_t(rows.x.d);
  const bool bias = rows.depth > int(d);
  const double scale = std::sqrt(rows.layer.wx / double(d)), offset = std::sqrt(rows.layer.wb);
  parallel_for(n_panels, n_threads, [&](int, std::int64_t p) {
    std::vector<double> row(d);
    T* panel = panels.get() + std::size_t(p) * std::size_t(depth) * std::size_t(width);
    for (int lane = 0; lane < width; ++lane) {
      const std::int64_t r = p * width + lane;
      T* out = panel + lane;
      if (r >= rows.n()) {
        for (int k = 0; k < depth; ++k) out[std::size_t(k) * width] = T(0);
        continue;
      }
      rows.read(r, row.data());
      const double radius = rows.radius(rows.a[std::size_t(r)]);
      const double reciprocal = radius > 0 ? 1 / radius : 0;
      const std::size_t c = std::size_t(rows.cls[std::size_t(r)]);
      if (!centre || !rows.centred[c]) {
        const double f = scale * reciprocal;
        for (std::size_t k = 0; k < d; ++k) out[k * width] = T(row[k] * f);
        if (bias) out[d * width] = T(offset * reciprocal);
        if (depth == 1 && !bias) out[0] = T(row[0] > 0 ? 1 : row[0] < 0 ? -1 : 0);
        continue;
      }
      // u - u_m = (x - x_m)/r - x_m (r - r_m)/(r r_m), of the augmented rows
      const double* m = rows.mean.get() + c * d;
      if (depth == 1 && !bias) {
        out[0] = T((row[0] > 0 ? 1 : -1) - (m[0] > 0 ? 1 : -1));
        continue;
      }
      const double radius_m = rows.radius(rows.mean_a[c]);
      const double f = scale * reciprocal;
      const double g = rows.layer.wx * rows.da[std::size_t(r)] / (radius + radius_m) * reciprocal / radius_m;
      for (std::size_t k = 0; k < d; ++k) out[k * width] = T((row[k] - m[k]) * f - m[k] * (scale * g));
      if (bias) out[d * width] = T(-offset * g);
    }
    routines.half_norms(panel, 1, depth, half_norms.get() + std::size_t(p) * width);
    for (int lane = 0; lane < width; ++lane) {
      const std::int64_t r = p * width + lane;
      T& half = half_norms[std::size_t(r)];
      // A zero row has no direction: half = 1/2 makes it orthogonal to every row, itself included.
      if (r < rows.n() && half == 0 && rows.radius(rows.a[std::size_t(r)]) == 0) half = T(0.5);
      spreads[std::size_t(r)] = std::sqrt(2 * half);
    }
  });
}

template struct Packed<float>;
template struct Packed<double>;

}  // namespace nc1fast
