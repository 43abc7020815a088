// The rows of one pass, packed, with their quantities and the scales of their sums: all of it but the tiles.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <vector>

#include "backend.hpp"

namespace nc1fast {

template <class T>
class PackedPass : public AnyPass {
 public:
  PackedPass(const Shared& shared, bool within, std::size_t n_rows)
      : shared_(shared),
        within_(within),
        packed_(shared.backend.panel(sizeof(T) == sizeof(float)), shared.frame.depth(),
                shared.far ? 0 : shared.backend.row(sizeof(T) == sizeof(float), shared.frame.depth()), n_rows),
        row_scales_(shared.options.row_sums ? n_rows * shared.kernels.size() : 0),
        ones_(shared.begins.size() - 1, 1.0) {
    const std::vector<ChainSpec>& chains = shared.kernels.chains;
    for (std::size_t c = 0; c < chains.size(); ++c) {
      lists_.push_back(outputs_by_level(chains[c]));
      const Form form = within ? chains[c].distance_form() : chains[c].covariance_form();
      stores_.push_back(std::make_unique<ChainStore<T>>(chains[c], lists_[c], shared.scan.stage(c), within, form,
                                                        kept(shared.kernels, c, within), packed_, shared.frame.d));
    }
    add_chains();
    add_expressions();
  }

  // Bytes per row of so many packed numbers, all arrays of a pass together.
  static std::size_t row_bytes(std::size_t packed, const Kernels& kernels, bool within, bool row_sums) {
    std::size_t bytes = Packed<T>::row_bytes(packed) + (row_sums ? sizeof(double) * kernels.size() : 0);
    for (std::size_t c = 0; c < kernels.chains.size(); ++c) {
      const ChainSpec& chain = kernels.chains[c];
      const OutputList list = outputs_by_level(chain);
      bytes += ChainStore<T>::row_bytes(chain, list, *make_row_stage(chain), within, kept(kernels, c, within));
    }
    return bytes;
  }

  bool needs_outputs() const override {
    return std::any_of(stores_.begin(), stores_.end(), [](const auto& store) { return store->needs_outputs(); });
  }
  void set(std::size_t at, const RowGroup& group) override {
    packed_.set(at, kRowStep, shared_.frame, within_, group);
    for (std::size_t r = std::size_t(group.n); r < std::size_t(kRowStep); ++r)
      for (const auto& store : stores_) store->clear(at + r);
  }
  void set_layers(std::size_t chain, std::size_t at, const Layer* layers, const OutputRow* outputs) override {
    stores_[chain]->set(at, layers, outputs, lists_[chain]);
  }

 protected:
  struct Output {
    int kernel;
    bool sensitivity, summed;
  };

  // What tiles need of the outputs of chain c.
  static Keep kept(const Kernels& kernels, std::size_t c, bool within) {
    if (!within) return Keep::nothing;
    if (!kernels.expressions.empty()) return Keep::leaves;
    return kernels.chains[c].distance_form() == Form::plain_distance ? Keep::diagonals : Keep::nothing;
  }

  // The chains as tiles have them, each with its outputs: those that go together as one, then the others.
  void add_chains() {
    const std::vector<ChainSpec>& specs = shared_.kernels.chains;
    std::vector<int> first_kernel{0};
    for (const ChainSpec& spec : specs) first_kernel.push_back(first_kernel.back() + int(spec.outputs.size()));
    std::vector<bool> added(specs.size(), false);
    const auto add = [&](std::size_t c) {
      added[c] = true;
      for (std::size_t o = 0; o < lists_[c].size(); ++o) {
        const Taken& taken = lists_[c][o];
        const int kernel = first_kernel[c] + taken.kernel;
        const bool sensitivity = taken.spec.quantity == Quantity::sensitivity;
        if (!sensitivity) leaf_of_[kernel] = stores_[c]->leaf(int(o), int(outputs_.size() - o));
        outputs_.push_back({kernel, sensitivity, taken.spec.summed});
      }
    };
    for (std::size_t c = 0; c < specs.size() && !within_; ++c)
      for (std::size_t t = 0; t < specs.size() && !added[c]; ++t)
        if (!added[t] && specs[c].has_tangent(specs[t])) {
          add(c);
          add(t);
          chains_.push_back(stores_[t]->beside(*stores_[c]));
        }
    for (std::size_t c = 0; c < specs.size(); ++c)
      if (!added[c]) {
        add(c);
        chains_.push_back(stores_[c]->chain);
      }
  }

  // The expressions, their leaves among the outputs of the chains, and their own outputs after those.
  void add_expressions() {
    const Kernels& kernels = shared_.kernels;
    int kernel = int(kernels.n_outputs());
    for (const ExpressionSpec& spec : kernels.expressions) {
      std::vector<Leaf<T>>& leaves = leaves_.emplace_back();
      for (const int leaf : spec.leaves) leaves.push_back(leaf_of_.at(leaf));
      const bool rooted =
          std::any_of(leaves.begin(), leaves.end(), [](const Leaf<T>& leaf) { return leaf.sensitivity >= 0; });
      expressions_.push_back(
          {int(spec.terms.size()), spec.terms.data(), leaves.data(), rooted, T(2 * chains_.at(0).noise)});
      outputs_.push_back({kernel, false, true});
      if (rooted) outputs_.push_back({kernel, true, true});
      ++kernel;
    }
  }

  // Scales per output; those of rows are copied to where the rows are.
  std::vector<Scales> make_scales(const Layout& layout) {
    const auto copy = [&](const std::vector<double>& from, std::size_t kernel) {
      double* to = row_scales_.data() + kernel * (row_scales_.size() / shared_.kernels.size());
      const Span rows = layout.rectangle.rows, columns = layout.rectangle.columns;
      std::copy(from.begin() + rows.begin, from.begin() + rows.end, to);
      if (!layout.rectangle.square())
        std::copy(from.begin() + columns.begin, from.begin() + columns.end, to + rows.size());
      return to;
    };
    std::vector<Scales> scales;
    for (const Output& output : outputs_) {
      const std::size_t kernel = std::size_t(output.kernel);
      const KernelSums& sums = shared_.sums[kernel];
      Scales& s = scales.emplace_back();
      if (!output.summed) continue;
      s.block = (output.sensitivity ? sums.sensitivity_exponent : sums.exponent).data();
      if (output.sensitivity || !shared_.options.row_sums) continue;
      s.row = copy(within_ ? shared_.survey.kernels[kernel].row_scale_within : sums.row_scale, kernel);
      s.column = within_ ? ones_.data() : sums.column_scale.data();
    }
    return scales;
  }

  // What tiles of a layout work on. `scales` must outlive it.
  Pass<T> pass_over(const Layout& layout, const std::vector<Scales>& scales) const {
    Pass<T> pass;
    pass.within = within_;
    pass.depth = packed_.depth;
    pass.n_classes = int(shared_.begins.size()) - 1;
    pass.panel = std::ptrdiff_t(packed_.panel);
    pass.panels = packed_.panels.get();
    pass.half_norms = packed_.half_norms.get();
    pass.segments = layout.segments.data();
    pass.first_segment = layout.first_segment.data();
    pass.n_chains = int(chains_.size());
    pass.chains = chains_.data();
    pass.scales = scales.data();
    pass.n_outputs = int(scales.size());
    pass.n_expressions = int(expressions_.size());
    pass.expressions = expressions_.data();
    return pass;
  }

  // Where the block sums of an output are added.
  std::vector<Int128>& total(const Output& output) const {
    KernelSums& kernel = shared_.sums[std::size_t(output.kernel)];
    return output.sensitivity ? kernel.sensitivity : kernel.block;
  }

  [[noreturn]] static void overflow() {
    throw std::overflow_error("the kernel overflows or is not a number for a pair of rows");
  }

  const Shared& shared_;
  bool within_;
  Packed<T> packed_;
  std::vector<OutputList> lists_;                       // per chain
  std::vector<std::unique_ptr<ChainStore<T>>> stores_;  // per chain
  std::vector<Chain<T>> chains_;                        // two of the call may be one
  std::vector<Output> outputs_;                         // of all chains, then of the expressions
  std::map<int, Leaf<T>> leaf_of_;                      // by kernel of a chain
  std::vector<std::vector<Leaf<T>>> leaves_;            // per expression
  std::vector<Expression<T>> expressions_;
  std::vector<double> row_scales_;  // (kernels, rows)
  std::vector<double> ones_;        // (C,)
};

}  // namespace nc1fast
