// A kernel on the pairs of two data sets, ready for tiles that are kept or multiplied, not summed by class.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <vector>

#include "chains.hpp"
#include "engine.hpp"
#include "reader.hpp"
#include "threads.hpp"

namespace nc1fast {

// z.data == nullptr: of X with itself.
template <class T>
class GramRows {
 public:
  using Norms = void (*)(const T*, int, int, T*);
  GramPass<T> pass;
  std::int64_t n_row_panels, n_column_panels;
  std::size_t n_outputs() const { return list_.size(); }
  std::size_t n_rows() const { return joint_.n_rows; }  // of the chain's arrays
  const Packed<T>& rows() const { return rows_; }       // empty where it is symmetric
  const Packed<T>& columns() const { return columns_; }

  // norms: as Routines::half_norms, or null where the tiles find them themselves.
  GramRows(int width, Norms norms, const Matrix& x, const Matrix& z, const ChainSpec& chain, int n_threads)
      : stage_(make_row_stage(chain)), list_(outputs_by_level(chain)), frame_{InputLayer::of(chain), int(x.d), {}} {
    const bool symmetric = z.data == nullptr;
    const Matrix& columns = symmetric ? x : z;
    columns_ = Packed<T>(width, frame_.depth(), std::size_t(columns.n));
    if (!symmetric) rows_ = Packed<T>(width, frame_.depth(), std::size_t(x.n));
    const Packed<T>& row_side = symmetric ? columns_ : rows_;
    n_row_panels = std::int64_t(row_side.n_rows) / row_side.width;
    n_column_panels = std::int64_t(columns_.n_rows) / columns_.width;
    // One set of row quantities for both sides: the columns, then (if they differ) the rows.
    const std::size_t offset = symmetric ? 0 : columns_.n_rows;
    joint_.n_rows = columns_.n_rows + (symmetric ? 0 : rows_.n_rows);
    joint_.width = columns_.width;
    joint_.depth = columns_.depth;
    joint_.half_norms = Buffer<T>(joint_.n_rows);
    joint_.displacements = Buffer<T>(joint_.n_rows);
    std::fill_n(joint_.half_norms.get(), joint_.n_rows, T(0.5));
    std::fill_n(joint_.displacements.get(), joint_.n_rows, T(1));
    store_ = std::make_unique<ChainStore<T>>(chain, list_, *stage_, false, Form::covariance, true, joint_, int(x.d));
    norms_ = Buffer<T>(joint_.n_rows);
    std::fill_n(norms_.get(), joint_.n_rows, T(0));
    fill(columns, columns_, 0, symmetric, norms, n_threads);
    if (!symmetric) fill(x, rows_, offset, symmetric, norms, n_threads);

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

 private:
  // The rows of `x`: packed, and their quantities from row `at` of the store on.
  void fill(const Matrix& x, Packed<T>& packed, std::size_t at, bool symmetric, Norms norms, int n_threads) {
    const Reference none;
    const Rounding rounding(sizeof(T) == sizeof(float), frame_.d, frame_.depth());
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
        own->outputs(in, none, frame_.d, rounding, levels.data(), kernels.data());
        if (symmetric && !std::isfinite(kernels[0].k))
          throw std::overflow_error("the kernel overflows on the diagonal");
        norms_[at + r] = T(in.a);
        store_->set(at + r, levels.data(), kernels.data(), list_);
      }
      if (norms) packed.finish(std::size_t(first), end, norms);
    });
  }

  std::unique_ptr<RowStage> stage_;
  OutputList list_;
  Frame frame_;
  Packed<T> rows_, columns_, joint_;
  std::unique_ptr<ChainStore<T>> store_;
  Buffer<T> norms_;
};

}  // namespace nc1fast
