#include "packing.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "nc1fast/vec.hpp"

namespace nc1fast {

namespace {

using Two = Vec<double, Baseline>;
constexpr int kTwo = kLanes<double, Baseline>;

// terms(k): what elements k and k + 1, or k alone, add to N sums. Each has kLanesOfSums parts, element k in part k %
// that.
template <int N, class Terms>
std::array<double, N> sums_of(int d, const Terms& terms) {
  constexpr int kBlock = N == 1 ? 16 : 8;  // parts that are kept in registers
  double parts[N][kLanesOfSums];
  for (int first = 0; first < kLanesOfSums; first += kBlock) {
    Two sums[N][kBlock / kTwo] = {};
    int k = first;
    for (; k + kBlock <= d; k += kLanesOfSums) {
#pragma GCC unroll 8
      for (int b = 0; b < kBlock; b += kTwo) {
        const std::array<Two, N> x = terms.template operator()<Two>(k + b);
#pragma GCC unroll 3
        for (int n = 0; n < N; ++n) sums[n][b / kTwo] += x[std::size_t(n)];
      }
    }
#pragma GCC unroll 3
    for (int n = 0; n < N; ++n) {
#pragma GCC unroll 8
      for (int b = 0; b < kBlock; b += kTwo) store(parts[n] + first + b, sums[n][b / kTwo]);
    }
    for (int part = first; k < d && part < first + kBlock; ++k, ++part) {
      const std::array<double, N> x = terms.template operator()<double>(k);
      for (int n = 0; n < N; ++n) parts[n][part] += x[std::size_t(n)];
    }
  }
  std::array<double, N> out;
  for (int n = 0; n < N; ++n) {
    double* p = parts[n];
    for (int half = kLanesOfSums / 2; half > 0; half /= 2)
      for (int lane = 0; lane < half; ++lane) p[lane] += p[lane + half];
    out[std::size_t(n)] = p[0];
  }
  return out;
}

// |x|^2
double norm_of(const double* row, int d) {
  return sums_of<1>(d, [row]<class V>(int k) {
    const V x = load<V>(row + k);
    return std::array{V(x * x)};
  })[0];
}

// scale, offset: sqrt(wx/d), sqrt(wb)
Scaling scaling_of(const Frame& frame, double scale, double offset, bool centre, const RowInput& in, std::size_t cls,
                   std::int64_t stored) {
  const double radius = frame.radius(in.a), reciprocal = radius > 0 ? 1 / radius : 0;
  Scaling s{scale * reciprocal, 0, offset * reciprocal, stored, -1};
  if (!centre || !frame.centred(cls)) return s;
  // u - u_m = (x - x_m)/r - x_m (r - r_m)/(r r_m), of the augmented rows
  const double radius_m = frame.radius(frame.means.norm[cls]);
  const double turned = frame.layer.wx * in.da / (radius + radius_m) * reciprocal / radius_m;
  s.cls = std::int32_t(cls);
  s.g = scale * turned;
  s.last = -offset * turned;
  return s;
}

// A row that is to be packed. m: null where it is not centred, x: null where it is padding.
struct Line {
  const double *x = nullptr, *m = nullptr;
  double f = 0, g = 0, last = 0;

  Line() = default;
  Line(const Frame& frame, const double* row, const Scaling& s) : x(row), f(s.f), g(s.g), last(s.last) {
    if (s.cls >= 0) m = frame.means.mean.data() + std::size_t(s.cls) * std::size_t(frame.d);
  }
  template <class V>
  V at(int k) const {
    return m ? (load<V>(x + k) - load<V>(m + k)) * f - load<V>(m + k) * g : load<V>(x + k) * f;
  }
};

// Two lines into neighbouring rows of a panel.
template <class T, bool Centred>
void interleave(const Line& a, const Line& b, int d, T* out, int width) {
  typedef T Pair __attribute__((vector_size(kTwo * sizeof(T))));
  const auto of = [](const Line& line, int k) {
    const Two x = load<Two>(line.x + k);
    if constexpr (!Centred) return Two(x * line.f);
    const Two m = load<Two>(line.m + k);
    return Two((x - m) * line.f - m * line.g);
  };
  int k = 0;
  for (; k + kTwo <= d; k += kTwo, out += kTwo * width) {
    Two square[kTwo] = {of(a, k), of(b, k)};
    transpose(square);
    for (int l = 0; l < kTwo; ++l) {
      const Pair pair = __builtin_convertvector(square[l], Pair);
      __builtin_memcpy(out + l * width, &pair, sizeof pair);
    }
  }
  if (k == d) return;
  out[0] = T(a.at<double>(k));
  out[1] = T(b.at<double>(k));
}

}  // namespace

double Frame::square(const double* row) const { return per_feature(norm_of(row, d)); }

RowLengths Frame::lengths(const double* row, std::size_t cls) const {
  if (!centred(cls)) return {norm_of(row, d), 0, 0};
  const double* m = means.mean.data() + cls * std::size_t(d);
  const auto [norm, difference, distance] = sums_of<3>(d, [row, m]<class V>(int k) {
    const V x = load<V>(row + k), mean = load<V>(m + k), step = x - mean;
    return std::array{V(x * x), V(step * (x + mean)), V(step * step)};
  });
  return {norm, difference, distance};
}

RowInput Frame::input(const RowLengths& of, std::size_t cls) const {
  const double a = per_feature(of.norm);
  if (!centred(cls)) {  // t to the row of zeros, which without a bias has no direction
    const double r = radius(a);
    return {a, 0, r > 0 ? layer.wx * a / (r * (r + std::sqrt(layer.wb))) : 1, 1, false};
  }
  const double da = per_feature(of.difference);
  // |r u - r_m u_m|^2 = (r - r_m)^2 + 2 r r_m t
  const double r_i = radius(a), r_m = radius(means.norm[cls]);
  const double dr = layer.wx * da / (r_i + r_m);
  const double square = per_feature(layer.wx * of.distance);
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
      displacements(n_rows),
      scalings(row == 0 ? n_rows : 0) {}

template <class T>
void Packed<T>::set(std::size_t at, std::size_t count, const Frame& frame, bool centre, const RowGroup& group) {
  const int d = frame.d;
  const double scale = std::sqrt(frame.layer.wx / double(d)), offset = std::sqrt(frame.layer.wb);
  const bool far = !scalings.empty(), bias = depth > d, alone = depth == 1 && !bias;  // alone: a row is its sign
  const auto sign = [](double x) { return T(x > 0 ? 1 : x < 0 ? -1 : 0); };
  for (std::size_t r = 0; r < count; r += 2) {
    Line lines[2];
    for (std::size_t i = r; i < r + 2; ++i) {
      half_norms[at + i] = displacements[at + i] = 0;
      if (far) scalings[at + i] = {};
      if (i >= std::size_t(group.n)) continue;
      const RowInput& in = group.inputs[i];
      const Scaling s = scaling_of(frame, scale, offset, centre, in, group.classes[i], group.stored[i]);
      if (far)
        scalings[at + i] = s;
      else
        lines[i - r] = Line(frame, group.rows[i], s);
      displacements[at + i] = T(centre ? in.displaced : 1);
      // A zero row has no direction: half = 1/2 makes it orthogonal to every row, itself included.
      if (frame.radius(in.a) == 0) half_norms[at + i] = T(0.5);
    }
    if (far) continue;
    const Line &a = lines[0], &b = lines[1];
    T* const out = column(at + r);
    if (b.x && !alone && !a.m == !b.m) {
      a.m ? interleave<T, true>(a, b, d, out, width) : interleave<T, false>(a, b, d, out, width);
    } else {
      for (int l = 0; l < 2; ++l)
        for (int k = 0; k < d; ++k) {
          const Line& line = lines[l];
          T& entry = out[std::ptrdiff_t(k) * width + l];
          entry = !line.x  ? T(0)
                  : !alone ? T(line.at<double>(k))
                  : line.m ? sign(*line.x) - sign(*line.m)
                           : sign(*line.x);
        }
    }
    for (int l = 0; bias && l < 2; ++l) out[std::ptrdiff_t(d) * width + l] = T(lines[l].last);
  }
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
