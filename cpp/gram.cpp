// Gram matrices, products with them, and diagonals: the packed rows and epilogues of the pass, not summed by class.
#include <algorithm>
#include <cmath>
#include <memory>
#include <stdexcept>

#include "chains.hpp"
#include "engine.hpp"
#include "reader.hpp"
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
      : stage_(make_row_stage(chain)), list_(outputs_by_level(chain)), frame_{InputLayer::of(chain), int(x.d), {}} {
    const bool symmetric = z.data == nullptr;
    const Matrix& columns = symmetric ? x : z;
    columns_ = Packed<T>(frame_.depth(), std::size_t(columns.n), routines<T>());
    if (!symmetric) rows_ = Packed<T>(frame_.depth(), std::size_t(x.n), routines<T>());
    const Packed<T>& row_side = symmetric ? columns_ : rows_;
    n_row_panels = std::int64_t(row_side.n_rows) / row_side.width;
    n_column_panels = std::int64_t(columns_.n_rows) / columns_.width;
    // One set of row quantities for both sides: the columns, then (if they differ) the rows.
    const std::size_t offset = symmetric ? 0 : columns_.n_rows;
    joint_.n_rows = columns_.n_rows + (symmetric ? 0 : rows_.n_rows);
    joint_.width = columns_.width;
    joint_.depth = columns_.depth;
    joint_.half_norms = Buffer<T>(joint_.n_rows);
    joint_.spreads = Buffer<T>(joint_.n_rows);
    std::fill_n(joint_.half_norms.get(), joint_.n_rows, T(0.5));
    std::fill_n(joint_.spreads.get(), joint_.n_rows, T(1));
    store_ = std::make_unique<ChainStore<T>>(chain, list_, *stage_, false, Form::covariance, true, joint_);
    norms_ = Buffer<T>(joint_.n_rows);
    std::fill_n(norms_.get(), joint_.n_rows, T(0));
    fill(columns, columns_, 0, symmetric, n_threads);
    if (!symmetric) fill(x, rows_, offset, symmetric, n_threads);

    pass.depth = columns_.depth;
    pass.symmetric = symmetric;
    pass.refine = std::any_of(chain.outputs.begin(), chain.outputs.end(), [&](const auto& o) { return chain.root(o); });
    pass.row_panels = row_side.panels.get();
    pass.column_panels = columns_.panels.get();
    pass.row_half_norms = row_side.half_norms.get();
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
  // The rows of `x`: packed, and their quantities from row `at` of the store on.
  void fill(const Matrix& x, Packed<T>& packed, std::size_t at, bool symmetric, int n_threads) {
    const Reference none;
    parallel_for((x.n + kRowStep - 1) / kRowStep, n_threads, [&](int, std::int64_t item) {
      const auto own = stage_->clone();
      std::vector<Layer> levels(std::size_t(store_->chain.recursion.n_duals) + 1);
      std::vector<OutputRow> kernels(list_.size());
      std::vector<double> rows(std::size_t(kRowStep * x.d));
      const std::int64_t first = item * kRowStep, n = std::min(kRowStep, x.n - first);
      RowReader(x).read(nullptr, first, n, rows.data());
      const std::size_t end = std::min(packed.n_rows, std::size_t(first + kRowStep));
      for (std::size_t r = std::size_t(first); r < end; ++r) {
        const std::int64_t i = std::int64_t(r) - first;
        const double* row = i < n ? rows.data() + i * x.d : nullptr;
        const RowInput in = row ? frame_.measure(row, 0) : RowInput{};
        packed.set(r, frame_, false, row, in, 0);
        if (!row) continue;
        own->layers(in, none, levels.data());
        own->outputs(in, none, 0, levels.data(), kernels.data());
        if (symmetric && !std::isfinite(kernels[0].k))
          throw std::overflow_error("the kernel overflows on the diagonal");
        norms_[at + r] = T(in.a);
        store_->set(at + r, levels.data(), kernels.data(), list_);
      }
      packed.finish(std::size_t(first), end, routines<T>());
    });
  }

  std::unique_ptr<RowStage> stage_;
  OutputList list_;
  Frame frame_;
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
  RowReader reader(x);
  for (std::ptrdiff_t i = 0; i < x.n; ++i) reader.read(nullptr, i, 1, padded.get() + i * stride);
  const Product<double> product{scale, inverse, factor, n_outputs, int(stride), padded.get(), sums.get()};
  const bool finished = pairs.for_each_row_panel(n_threads, poll, [&](const Scratch<double>& scratch, int p) {
    for (int q = 0; q < pairs.n_column_panels; ++q) routines<double>().product(pairs.pass, product, p, q, scratch);
  });
  for (std::ptrdiff_t i = 0; i < x.n; ++i) std::copy_n(sums.get() + i * stride, x.d, out + i * x.d);
  return finished;
}

void diagonal(const Matrix& x, const ChainSpec& chain, double* out) {
  const Frame frame{InputLayer::of(chain), int(x.d), {}};
  const auto stage = make_row_stage(chain);
  std::vector<Layer> levels(std::size_t(chain.n_duals()) + 1);
  std::vector<double> row(std::size_t(x.d));
  RowReader reader(x);
  OutputRow kernel;
  for (std::int64_t r = 0; r < x.n; ++r) {
    reader.read(nullptr, r, 1, row.data());
    const RowInput in = frame.measure(row.data(), 0);
    stage->layers(in, {}, levels.data());
    stage->outputs(in, {}, 0, levels.data(), &kernel);
    if (!std::isfinite(kernel.k)) throw std::overflow_error("the kernel overflows");
    out[r] = kernel.k;
  }
}

}  // namespace nc1fast
