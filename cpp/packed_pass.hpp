// The rows of one pass, packed, with their quantities and the scales of their sums: all of it but the tiles.
#pragma once

#include <algorithm>
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
        packed_(shared.backend.panel(sizeof(T) == sizeof(float)), shared.frame.depth(), n_rows),
        row_scales_(shared.options.row_sums ? n_rows * shared.n_kernels : 0),
        ones_(shared.begins.size() - 1, 1.0) {
    int kernel = 0;
    for (std::size_t c = 0; c < shared.chains.size(); ++c) {
      const ChainSpec& chain = shared.chains[c];
      lists_.push_back(outputs_by_level(chain));
      const Form form = within ? chain.distance_form() : Form::covariance;
      stores_.push_back(std::make_unique<ChainStore<T>>(chain, lists_[c], shared.scan.stage(c), within, form,
                                                        form == Form::plain_distance, packed_, shared.frame.d));
      chains_.push_back(stores_[c]->chain);
      for (const Taken& taken : lists_[c])
        outputs_.push_back({kernel + taken.kernel, taken.spec.quantity == Quantity::sensitivity});
      kernel += int(chain.outputs.size());
    }
  }

  // Bytes per row, all arrays of a pass together.
  static std::size_t row_bytes(int depth, const std::vector<ChainSpec>& chains, bool within, bool row_sums) {
    std::size_t bytes = Packed<T>::row_bytes(depth);
    for (const ChainSpec& chain : chains) {
      const bool plain = within && chain.distance_form() == Form::plain_distance;
      const OutputList list = outputs_by_level(chain);
      bytes += ChainStore<T>::row_bytes(chain, list, *make_row_stage(chain), within, plain);
      if (row_sums) bytes += sizeof(double) * chain.outputs.size();
    }
    return bytes;
  }

  bool needs_outputs() const override {
    return std::any_of(stores_.begin(), stores_.end(), [](const auto& store) { return store->needs_outputs(); });
  }
  void set(std::size_t at, const double* row, const RowInput& in, std::size_t cls) override {
    packed_.set(at, shared_.frame, within_, row, in, cls);
    if (row) return;
    for (const auto& store : stores_) store->clear(at);
  }
  void set_layers(std::size_t chain, std::size_t at, const Layer* layers, const OutputRow* outputs) override {
    stores_[chain]->set(at, layers, outputs, lists_[chain]);
  }

 protected:
  struct Output {
    int kernel;
    bool sensitivity;
  };

  // Scales per output; those of rows are copied to where the rows are.
  std::vector<Scales> make_scales(const Layout& layout) {
    const auto copy = [&](const std::vector<double>& from, std::size_t kernel) {
      double* to = row_scales_.data() + kernel * (row_scales_.size() / shared_.n_kernels);
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
    pass.panels = packed_.panels.get();
    pass.half_norms = packed_.half_norms.get();
    pass.segments = layout.segments.data();
    pass.first_segment = layout.first_segment.data();
    pass.n_chains = int(chains_.size());
    pass.chains = chains_.data();
    pass.scales = scales.data();
    pass.n_outputs = int(scales.size());
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
  std::vector<Chain<T>> chains_;
  std::vector<Output> outputs_;     // of all chains
  std::vector<double> row_scales_;  // (kernels, rows)
  std::vector<double> ones_;        // (C,)
};

}  // namespace nc1fast
