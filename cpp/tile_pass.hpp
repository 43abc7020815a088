// One of the two passes of a call, within classes or between them, over one rectangle after another: packed rows,
// threads, integers.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <vector>

#include "layout.hpp"
#include "scan.hpp"
#include "threads.hpp"

namespace nc1fast {

// What the passes of a call share, and the sums they fill.
struct Shared {
  const Frame& frame;
  const std::vector<std::int64_t>& begins;
  const Options& options;
  const std::vector<ChainSpec>& chains;
  std::size_t n_kernels;
  const Scan& scan;
  const Survey& survey;
  std::vector<KernelSums>& sums;
  const std::vector<std::int64_t*>& row_sums;
};

// A pass of either type.
class AnyPass : public RowSink {
 public:
  // The tiles of a layout whose rows, those of its columns after those of its rows, are in place. False when stopped.
  virtual bool run(const Layout& layout, const Poll& poll) = 0;
};

template <class T>
class TilePass final : public AnyPass {
 public:
  TilePass(const Shared& shared, bool within, std::size_t n_rows)
      : shared_(shared),
        within_(within),
        packed_(shared.frame.depth(), n_rows, routines<T>()),
        row_scales_(shared.options.row_sums ? n_rows * shared.n_kernels : 0),
        ones_(shared.begins.size() - 1, 1.0) {
    int kernel = 0, most = 1;
    for (std::size_t c = 0; c < shared.chains.size(); ++c) {
      const ChainSpec& chain = shared.chains[c];
      lists_.push_back(outputs_by_level(chain));
      const Form form = within ? chain.distance_form() : Form::covariance;
      stores_.push_back(std::make_unique<ChainStore<T>>(chain, lists_[c], shared.scan.stage(c), within, form,
                                                        form == Form::plain_distance, packed_));
      chains_.push_back(stores_[c]->chain);
      for (const Taken& taken : lists_[c]) outputs_.push_back({kernel + taken.kernel, is_sensitivity(taken)});
      kernel += int(chain.outputs.size());
      most = std::max(most, int(lists_[c].size()));
    }
    for (int w = 0; w < std::max(1, shared.options.n_threads); ++w) workers_.emplace_back(packed_.width, most);
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
    for (std::size_t c = 0; c < stores_.size(); ++c)
      stores_[c]->set(at, std::vector<Layer>(kMaxLevels).data(), std::vector<OutputRow>(lists_[c].size()).data(),
                      lists_[c]);
  }
  void set_layers(std::size_t chain, std::size_t at, const Layer* layers, const OutputRow* outputs) override {
    stores_[chain]->set(at, layers, outputs, lists_[chain]);
  }
  void finish(std::size_t begin, std::size_t end) override { packed_.finish(begin, end, routines<T>()); }

  bool run(const Layout& layout, const Poll& poll) override {
    const std::vector<Scales> scales = make_scales(layout);
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
    std::atomic<bool> finite{true};
    const bool finished = parallel_for(
        std::int64_t(layout.tiles.size()), shared_.options.n_threads,
        [&](int w, std::int64_t item) {
          Worker& worker = workers_[std::size_t(w)];
          const Tile& t = layout.tiles[std::size_t(item)];
          worker.start(t, layout, packed_.width, scales);
          if (!routines<T>().sums(pass, t, worker.scratch, worker.sums.data())) finite = false;
          add(t, layout, worker);
        },
        poll);
    if (!finite) throw std::overflow_error("the kernel overflows or is not a number for a pair of rows");
    return finished;
  }

 private:
  struct Output {
    int kernel;
    bool sensitivity;
  };
  static bool is_sensitivity(const Taken& taken) { return taken.spec.quantity == Quantity::sensitivity; }

  // Scratch and integer sums of one thread.
  struct Worker {
    Buffer<T> memory;
    std::vector<T*> values;
    std::vector<double> unit_sums;
    Scratch<T> scratch;
    std::vector<Int128> block;
    std::vector<std::int64_t> rows;
    std::vector<TileSums> sums;
    std::size_t n_row_classes = 0;

    Worker(int width, int n_outputs)
        : memory(std::size_t(width) * std::size_t(width) * std::size_t(n_outputs + 1)),
          unit_sums(2 * std::size_t(width)) {
      const std::size_t unit = std::size_t(width) * std::size_t(width);
      for (int o = 0; o < n_outputs; ++o) values.push_back(memory.get() + unit * std::size_t(o + 1));
      scratch = {memory.get(), values.data(), unit_sums.data(), unit_sums.data() + width};
    }

    // Sums of a tile, at zero.
    void start(const Tile& t, const Layout& layout, int width, const std::vector<Scales>& scales) {
      n_row_classes = std::size_t(layout.last_class(t.p_end - 1) - t.row_class + 1);
      const std::size_t n_column_classes = std::size_t(t.n_column_classes), n_pairs = n_row_classes * n_column_classes;
      const std::size_t n_row = std::size_t(t.p_end - t.p_begin) * std::size_t(width);
      const std::size_t n_column = std::size_t(t.q_end - t.q_begin) * std::size_t(width);
      const std::size_t per_output = n_column_classes * n_row + n_row_classes * n_column;
      const bool any_rows = std::any_of(scales.begin(), scales.end(), [](const Scales& s) { return s.row; });
      block.assign(n_pairs * scales.size(), 0);
      rows.assign(any_rows ? per_output * scales.size() : 0, 0);
      sums.clear();
      for (std::size_t o = 0; o < scales.size(); ++o) {
        std::int64_t* r = scales[o].row ? rows.data() + o * per_output : nullptr;
        sums.push_back({block.data() + o * n_pairs, r, r ? r + n_column_classes * n_row : nullptr});
      }
    }
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

  // Adds the integers of a tile to those of the call.
  void add(const Tile& t, const Layout& layout, const Worker& worker) {
    const std::size_t n_classes = shared_.begins.size() - 1, n_column_classes = std::size_t(t.n_column_classes);
    const std::int64_t n = shared_.begins.back(), width = packed_.width;
    const std::lock_guard lock(mutex_);
    for (std::size_t o = 0; o < worker.sums.size(); ++o) {
      const TileSums& sums = worker.sums[o];
      KernelSums& kernel = shared_.sums[std::size_t(outputs_[o].kernel)];
      std::vector<Int128>& total = outputs_[o].sensitivity ? kernel.sensitivity : kernel.block;
      for (std::size_t rc = 0; rc < worker.n_row_classes; ++rc)
        for (std::size_t cc = 0; cc < n_column_classes; ++cc)
          total[(rc + std::size_t(t.row_class)) * n_classes + cc + std::size_t(t.column_class)] +=
              sums.block[rc * n_column_classes + cc];
      if (!sums.rows) continue;
      std::int64_t* r = shared_.row_sums[std::size_t(outputs_[o].kernel)];
      const auto add_rows = [&](const std::int64_t* from, std::size_t count, int cls, int p_begin, int p_end) {
        const std::int64_t begin = layout.row(p_begin), rows = (p_end - p_begin) * width;
        for (std::size_t c = 0; c < count; ++c)
          for (std::int64_t i = 0; i < rows && begin + i < n; ++i)
            r[(c + std::size_t(cls)) * std::size_t(n) + std::size_t(begin + i)] +=
                from[c * std::size_t(rows) + std::size_t(i)];
      };
      add_rows(sums.rows, n_column_classes, t.column_class, t.p_begin, t.p_end);
      add_rows(sums.columns, worker.n_row_classes, t.row_class, t.q_begin, t.q_end);
    }
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
  std::vector<Worker> workers_;
  std::mutex mutex_;
};

}  // namespace nc1fast
