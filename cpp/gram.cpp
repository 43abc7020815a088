// Gram matrices, products with them, and diagonals: the packed rows and epilogues of the pass, not summed by class.
#include <algorithm>
#include <cmath>
#include <memory>
#include <stdexcept>

#include "chains.hpp"
#include "engine.hpp"
#include "threads.hpp"

namespace nc1fast {

namespace {

// A kernel on the pairs of two data sets (symmetric: of one with itself), ready for tiles.
template <class T>
class Pairs {
 public:
  GramPass<T> pass;
  std::int64_t n_row_panels, n_column_panels;

  Pairs(const Matrix& x, const Matrix& z, const ChainSpec& chain, int n_threads)
      : stage_(make_row_stage(chain)), list_(outputs_by_level(chain)) {
    const InputLayer layer = InputLayer::of(chain.weights.at(0), chain.biases.at(0));
    const bool symmetric = z.data == nullptr;
    const Rows row_side(x, nullptr, {}, layer, n_threads);
    const Rows column_side(symmetric ? x : z, nullptr, {}, layer, n_threads);
    rows_ = Packed<T>(row_side, false, routines<T>(), n_threads);
    columns_ = Packed<T>(column_side, false, routines<T>(), n_threads);
    n_row_panels = rows_.n_panels;
    n_column_panels = columns_.n_panels;
    // One set of row quantities for both sides: the columns, then (if they differ) the rows.
    const std::size_t offset = symmetric ? 0 : columns_.n_rows();
    joint_.n_panels = columns_.n_panels + (symmetric ? 0 : rows_.n_panels);
    joint_.width = columns_.width;
    joint_.depth = columns_.depth;
    joint_.half_norms = Buffer<T>(joint_.n_rows());
    joint_.spreads = Buffer<T>(joint_.n_rows());
    std::fill_n(joint_.half_norms.get(), joint_.n_rows(), T(0.5));
    std::fill_n(joint_.spreads.get(), joint_.n_rows(), T(1));
    store_ = std::make_unique<ChainStore<T>>(chain, list_, *stage_, false, Form::covariance, joint_);
    norms_ = Buffer<T>(joint_.n_rows());
    std::fill_n(norms_.get(), joint_.n_rows(), T(0));
    fill(column_side, 0, symmetric, n_threads);
    if (!symmetric) fill(row_side, offset, symmetric, n_threads);

    pass.depth = rows_.depth;
    pass.symmetric = symmetric;
    pass.refine = std::any_of(chain.outputs.begin(), chain.outputs.end(), [&](const auto& o) { return chain.root(o); });
    pass.row_panels = rows_.panels.get();
    pass.column_panels = columns_.panels.get();
    pass.row_half_norms = rows_.half_norms.get();
    pass.column_half_norms = columns_.half_norms.get();
    pass.n_rows = x.n;
    pass.n_columns = symmetric ? x.n : z.n;
    pass.row_offset = int(offset) / joint_.width;
    pass.norms = norms_.get();
    pass.chain = store_->chain;
    for (std::size_t o = 0; o < list_.size(); ++o)
      if (list_[o].spec.quantity != Quantity::sensitivity) pass.value = int(o);
  }

  // work(scratch, p) for every panel of rows, each by one thread. False when stopped.
  template <class Work>
  bool for_each_row_panel(int n_threads, const Poll& poll, const Work& work) const {
    const std::size_t unit = std::size_t(joint_.width) * std::size_t(joint_.width);
    return parallel_for(
        n_row_panels, n_threads,
        [&](int, std::int64_t p) {
          Buffer<T> memory(unit * (1 + list_.size()));
          std::vector<T*> values;
          for (std::size_t o = 0; o < list_.size(); ++o) values.push_back(memory.get() + unit * (o + 1));
          work(Scratch<T>{memory.get(), values.data(), nullptr, nullptr}, int(p));
        },
        [&](std::int64_t done, std::int64_t n) { return !poll || poll(done, n); });
  }

 private:
  void fill(const Rows& rows, std::size_t at, bool symmetric, int n_threads) {
    parallel_for((rows.n() + 255) / 256, n_threads, [&](int, std::int64_t item) {
      const auto own = stage_->clone();
      std::vector<Layer> levels(std::size_t(store_->chain.recursion.n_duals) + 1);
      std::vector<OutputRow> kernels(list_.size());
      for (std::int64_t r = item * 256; r < std::min(rows.n(), (item + 1) * 256); ++r) {
        own->row({rows.a[std::size_t(r)], 0, 0, false}, 0, levels.data(), kernels.data());
        if (symmetric && !std::isfinite(kernels[0].k))
          throw std::overflow_error("the kernel overflows on the diagonal");
        norms_[at + std::size_t(r)] = T(rows.a[std::size_t(r)]);
        store_->set(at + std::size_t(r), levels.data(), kernels.data(), list_);
      }
    });
  }

  std::unique_ptr<RowStage> stage_;
  OutputList list_;
  Packed<T> rows_, columns_, joint_;
  std::unique_ptr<ChainStore<T>> store_;
  Buffer<T> norms_;
};

}  // namespace

template <class T>
bool gram(const Matrix& x, const Matrix& z, const ChainSpec& chain, int n_threads, const Poll& poll, T* out) {
  Pairs<T> pairs(x, z, chain, n_threads);
  pairs.pass.out = out;
  return pairs.for_each_row_panel(n_threads, poll, [&](const Scratch<T>& scratch, int p) {
    for (int q = pairs.pass.symmetric ? p : 0; q < pairs.n_column_panels; ++q)
      routines<T>().gram(pairs.pass, p, q, scratch);
  });
}
template bool gram<float>(const Matrix&, const Matrix&, const ChainSpec&, int, const Poll&, float*);
template bool gram<double>(const Matrix&, const Matrix&, const ChainSpec&, int, const Poll&, double*);

bool product(const Matrix& x, const ChainSpec& chain, double scale, const double* inverse, const double* factor,
             int n_outputs, int n_threads, const Poll& poll, double* out) {
  const Pairs<double> pairs(x, {}, chain, n_threads);
  const std::ptrdiff_t unit = routines<double>().stride, stride = (x.d + unit - 1) / unit * unit;
  const std::size_t size = std::size_t(pairs.n_row_panels * routines<double>().panel * stride);
  Buffer<double> padded(size), sums(size);
  std::fill_n(padded.get(), size, 0.0);
  std::fill_n(sums.get(), size, 0.0);
  for (std::ptrdiff_t i = 0; i < x.n; ++i)
    std::copy_n(static_cast<const double*>(x.data) + i * x.stride, x.d, padded.get() + i * stride);
  const Product<double> product{scale, inverse, factor, n_outputs, int(stride), padded.get(), sums.get()};
  const bool finished = pairs.for_each_row_panel(n_threads, poll, [&](const Scratch<double>& scratch, int p) {
    for (int q = 0; q < pairs.n_column_panels; ++q) routines<double>().product(pairs.pass, product, p, q, scratch);
  });
  for (std::ptrdiff_t i = 0; i < x.n; ++i) std::copy_n(sums.get() + i * stride, x.d, out + i * x.d);
  return finished;
}

void diagonal(const Matrix& x, const ChainSpec& chain, double* out) {
  const Rows rows(x, nullptr, {}, InputLayer::of(chain.weights.at(0), chain.biases.at(0)), 1);
  const auto stage = make_row_stage(chain);
  std::vector<Layer> levels(std::size_t(chain.n_duals()) + 1);
  OutputRow kernel;
  for (std::int64_t r = 0; r < rows.n(); ++r) {
    stage->row({rows.a[std::size_t(r)], 0, 0, false}, 0, levels.data(), &kernel);
    if (!std::isfinite(kernel.k)) throw std::overflow_error("the kernel overflows");
    out[r] = kernel.k;
  }
}

}  // namespace nc1fast
