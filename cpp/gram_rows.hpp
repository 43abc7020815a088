// A kernel on the pairs of two data sets, ready for tiles that are kept or multiplied, not summed by class.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <vector>

#include "chains.hpp"
#include "engine.hpp"
#include "expressions.hpp"
#include "far_rows.hpp"
#include "reader.hpp"
#include "threads.hpp"

namespace nc1fast {

// z.data == nullptr: of X with itself. Rows that are far away are packed there: by their scalings.
template <class T>
class GramRows {
 public:
  GramPass<T> pass;
  std::int64_t n_row_panels, n_column_panels;
  std::size_t n_outputs() const { return n_outputs_; }  // values of a pair that tiles hold at a time
  std::size_t n_rows() const { return joint_.n_rows; }  // of the chains' arrays
  std::vector<Chain<T>>& chains() { return chains_; }
  const std::vector<Leaf<T>>& leaves() const { return leaves_; }  // of an expression
  const Packed<T>& rows() const { return rows_; }                 // empty where it is symmetric
  const Packed<T>& columns() const { return columns_; }
  // Where they are, if far away.
  const FarRows* far_rows() const { return far_rows_; }
  const FarRows* far_columns() const { return far_columns_; }
  const Frame& frame() const { return frame_; }

  // Of one kernel, the last of `kernels`. on: null where the tiles finish the rows themselves.
  // keep: of the outputs of a row.
  GramRows(int width, const Routines<T>* on, const Matrix& x, const Matrix& z, const Kernels& kernels, int n_threads,
           Keep keep = Keep::nothing)
      : kernels_(kernels), frame_{InputLayer::of(kernels.chains.at(0)), int(x.d), {}} {
    const bool symmetric = z.data == nullptr;
    const Matrix& columns = symmetric ? x : z;
    pass.refine = refines();
    if (on) pass.products = pass.refine ? &on->by_fma : &on->products;
    const int depth = frame_.depth();
    const std::size_t row = on ? pass.products->row(depth) : std::size_t(depth);
    far_rows_ = x.far;
    far_columns_ = columns.far;
    columns_ = Packed<T>(width, depth, columns.far ? 0 : row, std::size_t(columns.n));
    if (!symmetric) rows_ = Packed<T>(width, depth, x.far ? 0 : row, std::size_t(x.n));
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
    add_chains(int(x.d), keep);
    for (Buffer<T>* values : {&norms_, &diagonal_}) {
      *values = Buffer<T>(joint_.n_rows);
      std::fill_n(values->get(), joint_.n_rows, T(0));
    }
    fill(columns, columns_, 0, symmetric, n_threads);
    if (!symmetric) fill(x, rows_, offset, symmetric, n_threads);

    pass.depth = columns_.depth;
    pass.panel = std::ptrdiff_t(columns_.panel);
    pass.symmetric = symmetric;
    pass.row_panels = row_side.panels.get();
    pass.column_panels = columns_.panels.get();
    pass.row_half_norms = row_side.half_norms.get();
    pass.column_half_norms = columns_.half_norms.get();
    pass.n_rows = x.n;
    pass.n_columns = symmetric ? x.n : z.n;
    pass.row_offset = int(offset) / joint_.width;
    pass.norms = norms_.get();
    pass.diagonal = diagonal_.get();
    pass.n_chains = int(chains_.size());
    pass.chains = chains_.data();
  }

 private:
  // Whether a kernel has a root at equal rows: small chords want more than the products of the rows.
  bool refines() const {
    for (const ChainSpec& chain : kernels_.chains)
      for (const auto& taken : outputs_by_level(chain))
        if (chain.root(taken.spec)) return true;
    return false;
  }

  void add_chains(int d, Keep keep) {
    for (const ChainSpec& chain : kernels_.chains) {
      stages_.push_back(make_row_stage(chain));
      const OutputList& list = lists_.emplace_back(outputs_by_level(chain));
      stores_.push_back(std::make_unique<ChainStore<T>>(chain, list, *stages_.back(), false, chain.covariance_form(),
                                                        keep, joint_, d));
      chains_.push_back(stores_.back()->chain);
      for (std::size_t o = 0; o < list.size(); ++o, ++n_outputs_) {
        if (list[o].spec.quantity == Quantity::sensitivity) continue;
        pass.value = int(n_outputs_);
        values_.push_back({list[o].kernel + int(n_kernels_), int(n_outputs_)});
      }
      n_kernels_ += chain.outputs.size();
    }
    if (kernels_.expressions.empty()) return;
    const ExpressionSpec& spec = kernels_.expressions.back();
    for (const int leaf : spec.leaves)
      for (const auto& [kernel, value] : values_)
        if (kernel == leaf) leaves_.push_back({value, -1, nullptr, nullptr});
    pass.expression = {int(spec.terms.size()), spec.terms.data(), leaves_.data(), false, 0};
    ++n_outputs_;
  }

  // The rows of `x`: packed, and their quantities from row `at` of the stores on.
  void fill(const Matrix& x, Packed<T>& packed, std::size_t at, bool symmetric, int n_threads) {
    const Reference none;
    const Rounding rounding(sizeof(T) == sizeof(float), frame_.d, frame_.depth());
    const std::vector<RowLengths> lengths = x.far ? x.far->lengths(nullptr, nullptr) : std::vector<RowLengths>();
    parallel_for((x.n + kRowStep - 1) / kRowStep, n_threads, [&](int, std::int64_t item) {
      std::vector<std::unique_ptr<RowStage>> own;
      for (const auto& stage : stages_) own.push_back(stage->clone());
      std::vector<Layer> levels(kMaxLevels + 1);
      std::vector<OutputRow> outputs(n_kernels_);
      std::vector<double> rows(x.far ? 0 : std::size_t(kRowStep * x.d));
      const std::int64_t first = item * kRowStep, n = std::min(kRowStep, x.n - first);
      if (!x.far) RowReader(x).read(nullptr, first, n, rows.data());
      const std::size_t end = std::min(packed.n_rows, std::size_t(first + kRowStep));
      RowGroup group{n, {}, {}, {}, {}};
      for (std::int64_t i = 0; i < n; ++i) {
        group.stored[i] = first + i;
        if (x.far) {
          group.inputs[i] = frame_.input(lengths[std::size_t(first + i)], 0);
        } else {
          group.rows[i] = rows.data() + i * x.d;
          group.inputs[i] = frame_.measure(group.rows[i], 0);
        }
      }
      packed.set(std::size_t(first), end - std::size_t(first), frame_, false, group);
      for (std::int64_t i = 0; i < n; ++i) {
        const RowInput& in = group.inputs[i];
        const std::size_t r = std::size_t(first + i);
        OutputRow* found = outputs.data();
        for (std::size_t c = 0; c < own.size(); ++c) {
          own[c]->layers(in, none, levels.data());
          own[c]->outputs(in, none, frame_.d, rounding, levels.data(), found);
          stores_[c]->set(at + r, levels.data(), found, lists_[c]);
          found += kernels_.chains[c].outputs.size();
        }
        const double k = kernel_of_row(kernels_, outputs).k;
        if (symmetric && !std::isfinite(k)) throw std::overflow_error("the kernel overflows on the diagonal");
        norms_[at + r] = T(in.a);
        diagonal_[at + r] = T(k);
      }
      if (pass.products) packed.finish(std::size_t(first), end, *pass.products);
    });
  }

  struct Value {
    int kernel, at;
  };
  Kernels kernels_;
  std::vector<std::unique_ptr<RowStage>> stages_;  // per chain
  std::vector<OutputList> lists_;
  Frame frame_;
  Packed<T> rows_, columns_, joint_;
  const FarRows *far_rows_ = nullptr, *far_columns_ = nullptr;
  std::vector<std::unique_ptr<ChainStore<T>>> stores_;
  std::vector<Chain<T>> chains_;
  std::size_t n_outputs_ = 0, n_kernels_ = 0;  // of all chains; an expression has another output
  std::vector<Value> values_;                  // where those of each kernel of a chain are in a unit
  std::vector<Leaf<T>> leaves_;
  Buffer<T> norms_, diagonal_;
};

}  // namespace nc1fast
