// One of the two passes of a call on the processor: threads, and their integers.
#pragma once

#include <atomic>
#include <stdexcept>

#include "isa/isa.hpp"
#include "packed_pass.hpp"

namespace nc1fast {

// sum += x beside other threads that do the same: exact in any order. Of 128 bits each half is added by itself, the
// carry known from what was there before; nobody reads before all have added.
inline void add_beside_others(std::int64_t& sum, std::int64_t x) { __atomic_fetch_add(&sum, x, __ATOMIC_RELAXED); }
inline void add_beside_others(Int128& sum, Int128 x) {
  using Half [[gnu::may_alias]] = std::uint64_t;
  Half* const halves = reinterpret_cast<Half*>(&sum);  // the low one first
  const std::uint64_t low = std::uint64_t(x), before = __atomic_fetch_add(halves, low, __ATOMIC_RELAXED);
  __atomic_fetch_add(halves + 1, std::uint64_t(x >> 64) + (before + low < low ? 1 : 0), __ATOMIC_RELAXED);
}

template <class T>
class TilePass final : public PackedPass<T> {
  using Base = PackedPass<T>;
  using Base::chains_, Base::outputs_, Base::packed_, Base::shared_;

 public:
  TilePass(const Shared& shared, bool within, std::size_t n_rows, const Routines<T>& routines)
      : Base(shared, within, n_rows), routines_(routines) {
    int most = this->expressions_.empty() ? 1 : int(outputs_.size());  // values that are held at a time
    for (Chain<T>& chain : chains_) {
      take_epilogue(chain, routines_);
      most = std::max(most, chain.n_outputs);
    }
    for (int w = 0; w < shared.team.n_workers(); ++w) workers_.emplace_back(packed_.width, most);
  }

  void finish(std::size_t begin, std::size_t end) override { packed_.finish(begin, end, routines_.products); }

  bool run(const Layout& layout, const Poll& poll) override {
    const std::vector<Scales> scales = this->make_scales(layout);
    Pass<T> pass = this->pass_over(layout, scales);
    pass.products = &routines_.products;
    std::atomic<bool> finite{true};
    const bool finished = shared_.team.run(
        layout.n_tiles(),
        [&](int w, std::int64_t item) {
          Worker& worker = workers_[std::size_t(w)];
          const Tile t = layout.tile(item);
          worker.start(t, layout, packed_.width, scales);
          if (!routines_.sums(pass, t, worker.scratch, worker.sums.data())) finite = false;
          add(t, layout, worker);
        },
        poll);
    if (!finite) this->overflow();
    return finished;
  }

 private:
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
        : memory(std::size_t(width) * std::size_t(width) * std::size_t(n_outputs + 2)),
          unit_sums(2 * std::size_t(width)) {
      const std::size_t unit = std::size_t(width) * std::size_t(width);
      for (int o = 0; o < n_outputs; ++o) values.push_back(memory.get() + unit * std::size_t(o + 1));
      T* const lifted = memory.get() + unit * std::size_t(n_outputs + 1);
      scratch = {memory.get(), lifted, values.data(), unit_sums.data(), unit_sums.data() + width};
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

  // Adds the integers of a tile to those of the call.
  void add(const Tile& t, const Layout& layout, const Worker& worker) {
    const std::size_t n_classes = shared_.begins.size() - 1, n_column_classes = std::size_t(t.n_column_classes);
    const std::int64_t n = shared_.begins.back(), width = packed_.width;
    for (std::size_t o = 0; o < worker.sums.size(); ++o) {
      if (!outputs_[o].summed) continue;
      const TileSums& sums = worker.sums[o];
      std::vector<Int128>& total = this->total(outputs_[o]);
      for (std::size_t rc = 0; rc < worker.n_row_classes; ++rc)
        for (std::size_t cc = 0; cc < n_column_classes; ++cc)
          add_beside_others(total[(rc + std::size_t(t.row_class)) * n_classes + cc + std::size_t(t.column_class)],
                            sums.block[rc * n_column_classes + cc]);
      if (!sums.rows) continue;
      std::int64_t* r = shared_.row_sums[std::size_t(outputs_[o].kernel)];
      const auto add_rows = [&](const std::int64_t* from, std::size_t count, int cls, int p_begin, int p_end) {
        const std::int64_t begin = layout.row(p_begin), rows = (p_end - p_begin) * std::int64_t(width);
        for (std::size_t c = 0; c < count; ++c)
          for (std::int64_t i = 0; i < rows && begin + i < n; ++i)
            if (const std::int64_t x = from[c * std::size_t(rows) + std::size_t(i)]; x != 0)
              add_beside_others(r[(c + std::size_t(cls)) * std::size_t(n) + std::size_t(begin + i)], x);
      };
      add_rows(sums.rows, n_column_classes, t.column_class, t.p_begin, t.p_end);
      add_rows(sums.columns, worker.n_row_classes, t.row_class, t.q_begin, t.q_end);
    }
  }

  const Routines<T>& routines_;
  std::vector<Worker> workers_;
};

}  // namespace nc1fast
