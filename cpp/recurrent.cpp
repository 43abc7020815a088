#include "recurrent.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "packing.hpp"
#include "threads.hpp"

namespace nc1fast {
namespace {

constexpr double kUnitRoundoff = 0x1p-53;

// Bounds on relative errors in units of 2^-53, over `longest` steps at most: docs/accuracy.md counts them.
struct SequenceRounding {
  double deviation, share, diagonal;
  SequenceRounding(const RecurrentKernel& kernel, std::int64_t longest)
      : deviation(6.0 * double(longest) + 0.5 * kernel.m + 4),
        share(2 * deviation + 6),
        diagonal(2 * deviation + 8 + (kernel.tangent ? double(longest) * (4 * deviation + 12) : 0)) {}
};

// What belongs to one sequence: of every step, from the first one, the share f of the step before and the factors of
// the input x/|x| and of the bias in the unit vector; of the last step the factor of values, and k_ii over its square.
class Walked {
 public:
  std::vector<double> link, length, input, bias;
  double factor = 0, diagonal = 1;

  void walk(const RecurrentKernel& kernel, const double* x, std::int64_t n_steps) {
    const double w = std::sqrt(kernel.weight / 2), s = std::sqrt(kernel.input / kernel.m), b = std::sqrt(kernel.bias);
    for (std::vector<double>* values : {&link, &length, &input, &bias}) values->resize(std::size_t(n_steps));
    double a = 0, theta = 0;
    for (std::size_t t = 0; t < std::size_t(n_steps); ++t, x += kernel.m) {
      length[t] = norm(x, kernel.m);
      const double in = s * length[t], carried = w * a;
      a = std::hypot(std::hypot(carried, in), b);
      if (!(a <= 1e150) || (a == 0 && s > 0 && length[t] > 0))
        throw std::overflow_error("the variance of a step is too large or too small");
      const double over = a > 0 ? a : 1;
      link[t] = carried / over;
      input[t] = in / over;
      bias[t] = b / over;
      theta = 1 + link[t] * link[t] * theta;
    }
    factor = std::sqrt(kernel.readout / 2) * a;
    diagonal = kernel.tangent ? 1 + theta : 1;
  }

  double k() const { return factor * factor * diagonal; }

 private:
  // |x|, whatever its scale.
  static double norm(const double* x, int m) {
    double largest = 0, squares = 0;
    for (int k = 0; k < m; ++k) largest = std::max(largest, std::fabs(x[k]));
    if (largest > 1e-100 && largest < 1e100) {
      for (int k = 0; k < m; ++k) squares += x[k] * x[k];
      return std::sqrt(squares);
    }
    int exponent = 0;
    std::frexp(largest, &exponent);
    for (int k = 0; k < m; ++k) {
      const double y = std::ldexp(x[k], -exponent);
      squares += y * y;
    }
    return std::ldexp(std::sqrt(squares), exponent);
  }
};

void check_range(const Walked& walked, bool single) {
  const double k = walked.k(), most = single ? 1e20 : 1e100;
  const bool inside = k >= 1 / most && k <= most;
  if (walked.factor > 0 && !inside)
    throw std::overflow_error("values on the diagonal go beyond 1e" + std::string(single ? "+-20 (float32)" : "+-100"));
}

// The sequences of one side, in panels.
template <class T>
class PackedSequences {
 public:
  std::vector<double> factors, k;  // of each sequence: factor of its values, and k_ii

  PackedSequences(const Routines<T>& on, const RecurrentKernel& kernel, const Sequences& x, int depth)
      : width_(on.panel) {
    const std::size_t wide = std::size_t(width_), n_panels = (std::size_t(x.n) + wide - 1) / wide;
    std::vector<std::size_t> first{0};  // step of each panel
    for (std::size_t p = 0; p < n_panels; ++p) {
      const std::int64_t* lengths = x.lengths + p * wide;
      const std::int64_t longest = *std::max_element(lengths, lengths + std::min(wide, std::size_t(x.n) - p * wide));
      first.push_back(first.back() + std::size_t(longest));
    }
    const std::size_t n_steps = first.back();
    rows_ = zeros(n_steps * std::size_t(depth) * wide);
    half_norms_ = zeros(n_steps * wide);
    links_ = zeros(n_steps * wide);
    diagonal_ = zeros(n_panels * wide);
    Walked walked;
    for (std::size_t i = 0; i < std::size_t(x.n); ++i) {
      const std::size_t p = i / wide, c = i % wide, length = std::size_t(x.lengths[i]);
      const double* row = x.steps + x.begins[i] * kernel.m;
      walked.walk(kernel, row, x.lengths[i]);
      check_range(walked, sizeof(T) == 4);
      factors.push_back(walked.factor);
      k.push_back(walked.k());
      diagonal_[i] = T(walked.diagonal);
      for (std::size_t t = 0; t < length; ++t, row += kernel.m) {
        const std::size_t step = first[p] + length - 1 - t;
        links_[step * wide + c] = T(walked.link[t]);
        T* to = rows_.get() + step * std::size_t(depth) * wide + c;
        const double over = walked.length[t] > 0 ? walked.length[t] : 1;
        for (int j = 0; j < kernel.m; ++j, to += wide) *to = T(row[j] / over * walked.input[t]);
        if (depth > kernel.m) *to = T(walked.bias[t]);
      }
    }
    on.by_fma.finish(rows_.get(), int(n_steps), depth, half_norms_.get());
    for (std::size_t p = 0; p < n_panels; ++p)
      panels_.push_back({int(first[p + 1] - first[p]), rows_.get() + first[p] * std::size_t(depth) * wide,
                         half_norms_.get() + first[p] * wide, links_.get() + first[p] * wide,
                         diagonal_.get() + p * wide});
  }

  std::int64_t n_panels() const { return std::int64_t(panels_.size()); }
  const SequencePanel<T>& operator[](std::int64_t p) const { return panels_[std::size_t(p)]; }

 private:
  static Buffer<T> zeros(std::size_t n) {
    Buffer<T> values(n);
    std::fill_n(values.get(), n, T(0));
    return values;
  }

  int width_;
  Buffer<T> rows_, half_norms_, links_, diagonal_;
  std::vector<SequencePanel<T>> panels_;
};

std::int64_t longest_of(const Sequences& x) { return x.n ? *std::max_element(x.lengths, x.lengths + x.n) : 1; }

// Where the units of a block go: its entries are known by the sequences on either side.
template <class T>
class RecurrentBlock {
 public:
  RecurrentBlock(const Routines<T>& on, const RecurrentKernel& kernel, const Sequences& x, const Sequences& z,
                 T* values, double* errors)
      : on_(on),
        x_(x),
        z_(z.steps ? z : x),
        symmetric_(!z.steps),
        values_(values),
        errors_(errors),
        rounding_(kernel, std::max(longest_of(x_), longest_of(z_))),
        depth_(kernel.m + (kernel.bias > 0 ? 1 : 0)),
        rows_(on, kernel, x_, depth_),
        others_(on, kernel, symmetric_ ? Sequences{} : z_, depth_) {
    constexpr double unit = sizeof(T) == 4 ? 0x1p-24 : kUnitRoundoff;
    const double share = rounding_.share * kUnitRoundoff + unit;
    pass_ = {depth_, kernel.tangent, T(1.01 * (3 * share + (2 * depth_ + 16) * unit)), T(2 * share + 3 * unit),
             T(unit)};
  }

  std::int64_t n_units() const { return rows_.n_panels() * columns().n_panels(); }
  std::size_t scratch() const { return (kRecurrentUnits + 2) * unit(); }

  void evaluate(std::int64_t item, T* scratch) const {
    const std::int64_t p = item / columns().n_panels(), q = item % columns().n_panels();
    if (symmetric_ && p > q) return;
    T *values = scratch + kRecurrentUnits * unit(), *errors = errors_ ? values + unit() : nullptr;
    on_.recurrent(pass_, rows_[p], columns()[q], scratch, values, errors);
    put(p, q, values, errors);
  }

 private:
  const PackedSequences<T>& columns() const { return symmetric_ ? rows_ : others_; }
  std::size_t unit() const { return std::size_t(on_.panel) * std::size_t(on_.panel); }

  void put(std::int64_t p, std::int64_t q, const T* values, const T* errors) const {
    const std::ptrdiff_t width = on_.panel, i0 = std::ptrdiff_t(p) * width, j0 = std::ptrdiff_t(q) * width;
    const std::ptrdiff_t i_end = std::min(i0 + width, x_.n), j_end = std::min(j0 + width, z_.n);
    for (std::ptrdiff_t i = i0; i < i_end; ++i)
      for (std::ptrdiff_t j = j0; j < j_end; ++j) {
        const std::ptrdiff_t at = (i - i0) * width + (j - j0);
        const double h = rows_.factors[std::size_t(i)] * columns().factors[std::size_t(j)];
        set(i, j, T(h * double(values[at])), errors ? h * double(errors[at]) : 0);
      }
  }

  void set(std::ptrdiff_t i, std::ptrdiff_t j, T value, double error) const {
    const bool same = x_.steps == z_.steps && x_.begins[i] == z_.begins[j] && x_.lengths[i] == z_.lengths[j];
    const double relative = same ? rounding_.diagonal : 2 * rounding_.deviation + 8;
    const double off = 1.01 * ((same ? 0 : error) + relative * kUnitRoundoff * std::fabs(double(value)) +
                               2 * double(pass_.unit) * std::fabs(double(value)));
    store(i, j, value, off);
    if (symmetric_) store(j, i, value, off);
  }

  void store(std::ptrdiff_t i, std::ptrdiff_t j, T value, double off) const {
    values_[i * z_.n + j] = value;
    if (errors_) errors_[i * z_.n + j] = off;
  }

  const Routines<T>& on_;
  Sequences x_, z_;
  bool symmetric_;
  T* values_;
  double* errors_;
  SequenceRounding rounding_;
  int depth_;
  PackedSequences<T> rows_, others_;
  RecurrentPass<T> pass_;
};

}  // namespace

template <class T>
bool recurrent(const Routines<T>& on, const RecurrentKernel& kernel, const Sequences& x, const Sequences& z,
               int n_threads, const Poll& poll, T* values, double* errors) {
  const RecurrentBlock<T> block(on, kernel, x, z, values, errors);
  std::vector<Buffer<T>> scratch;
  for (int w = 0; w < std::max(1, n_threads); ++w) scratch.emplace_back(block.scratch());
  return parallel_for(
      block.n_units(), n_threads,
      [&](int w, std::int64_t item) { block.evaluate(item, scratch[std::size_t(w)].get()); },
      [&](std::int64_t done, std::int64_t n) { return !poll || poll(done, n); });
}
template bool recurrent(const Routines<float>&, const RecurrentKernel&, const Sequences&, const Sequences&, int,
                        const Poll&, float*, double*);
template bool recurrent(const Routines<double>&, const RecurrentKernel&, const Sequences&, const Sequences&, int,
                        const Poll&, double*, double*);

void recurrent_diagonal(const RecurrentKernel& kernel, const Sequences& x, double* values, double* errors) {
  const SequenceRounding rounding(kernel, longest_of(x));
  Walked walked;
  for (std::ptrdiff_t i = 0; i < x.n; ++i) {
    walked.walk(kernel, x.steps + x.begins[i] * kernel.m, x.lengths[i]);
    check_range(walked, false);
    values[i] = walked.k();
    errors[i] = 1.01 * rounding.diagonal * kUnitRoundoff * values[i];
  }
}

}  // namespace nc1fast
