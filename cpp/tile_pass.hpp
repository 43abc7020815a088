// One of the two passes of a call, within classes or between them: its tiles, its scales, its threads.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "chains.hpp"
#include "threads.hpp"

namespace nc1fast {

inline constexpr std::size_t kTileBytes = std::size_t(512) << 10;  // packed rows of a tile: half of a small L2
inline constexpr int kTileRows = 384;

// Smallest e with |x| < 2^e, within what a double can scale by.
inline int exponent_above(double x) {
  int e = 0;
  std::frexp(x, &e);
  return std::clamp(e, -450, 1000);
}

struct Segments {
  std::vector<Segment> list;
  std::vector<int> first;  // (n_panels + 1,)
  Segments(const Rows& rows, int width, int n_panels) {
    for (int p = 0; p < n_panels; ++p) {
      first.push_back(int(list.size()));
      const std::int64_t begin = std::int64_t(p) * width, end = std::min(rows.n(), begin + width);
      for (std::int64_t r = begin; r < end;) {
        const int c = rows.cls[std::size_t(r)];
        const std::int64_t stop = std::min(end, rows.begins[std::size_t(c) + 1]);
        list.push_back({int(r - begin), int(stop - begin), c});
        r = stop;
      }
    }
    first.push_back(int(list.size()));
  }
};

// What all chains of the call share, and the sums they fill.
struct Shared {
  const Rows& rows;
  const Options& options;
  const std::vector<ChainSpec>& specs;
  std::vector<OutputList> lists;
  std::vector<std::unique_ptr<RowStage>> stages;
  std::vector<KernelSums>& sums;
  const std::vector<std::int64_t*>& row_sums;
  std::vector<std::vector<double>> reference, mu;  // per kernel: (N,)
};

// One of the two passes: tiles within classes or between them.
template <class T>
class TilePass {
 public:
  TilePass(Shared& shared, bool within)
      : shared_(shared),
        within_(within),
        packed_(shared.rows, within, routines<T>(), shared.options.n_threads),
        segments_(shared.rows, packed_.width, packed_.n_panels) {
    for (std::size_t c = 0; c < shared.specs.size(); ++c)
      stores_.push_back(std::make_unique<ChainStore<T>>(shared.specs[c], shared.lists[c], *shared.stages[c], within,
                                                        within ? shared.specs[c].distance_form() : Form::covariance,
                                                        packed_));
    tiles_ = make_tiles();
  }

  std::int64_t n_tiles() const { return std::int64_t(tiles_.size()); }

  void set_row(std::size_t chain, std::size_t r, const Layer* levels, const OutputRow* kernels) {
    stores_[chain]->set(r, levels, kernels, shared_.lists[chain]);
  }

  bool run(const Poll& poll) {
    make_scales();
    Pass<T> pass;
    pass.within = within_;
    pass.depth = packed_.depth;
    pass.n_panels = packed_.n_panels;
    pass.n_classes = int(shared_.rows.n_classes());
    pass.panels = packed_.panels.get();
    pass.half_norms = packed_.half_norms.get();
    pass.segments = segments_.list.data();
    pass.first_segment = segments_.first.data();
    pass.part = shared_.options.part;
    pass.parts = shared_.options.parts;
    std::vector<Chain<T>> chains;
    for (const auto& store : stores_) chains.push_back(store->chain);
    pass.n_chains = int(chains.size());
    pass.chains = chains.data();
    pass.scales = scales_.data();
    pass.n_outputs = int(scales_.size());

    const int n_threads = shared_.options.n_threads;
    std::vector<Worker> workers;
    for (int w = 0; w < std::max(1, n_threads); ++w) workers.emplace_back(*this, chains);
    std::atomic<bool> finite{true};
    const bool finished = parallel_for(
        std::int64_t(tiles_.size()), n_threads,
        [&](int w, std::int64_t item) {
          if (!workers[std::size_t(w)].tile(pass, tiles_[std::size_t(item)])) finite = false;
        },
        poll);
    if (!finite) throw std::overflow_error("the kernel overflows or is not a number for a pair of rows");
    return finished;
  }

 private:
  // Scratch and integer sums of one thread.
  struct Worker {
    TilePass& owner;
    Buffer<T> memory;
    std::vector<T*> values;
    std::vector<double> sums_memory;
    Scratch<T> scratch;
    std::vector<Int128> block;
    std::vector<std::int64_t> rows;
    std::vector<TileSums> sums;

    Worker(TilePass& pass, const std::vector<Chain<T>>& chains) : owner(pass) {
      int most = 1;
      for (const Chain<T>& chain : chains) most = std::max(most, chain.n_outputs);
      const std::size_t width = std::size_t(pass.packed_.width), unit = width * width;
      memory = Buffer<T>(unit * std::size_t(most + 1));
      for (int o = 0; o < most; ++o) values.push_back(memory.get() + unit * std::size_t(o + 1));
      sums_memory.resize(2 * width);
      scratch = {memory.get(), values.data(), sums_memory.data(), sums_memory.data() + width};
    }
    Worker(Worker&& other) noexcept
        : owner(other.owner),
          memory(std::move(other.memory)),
          values(std::move(other.values)),
          sums_memory(std::move(other.sums_memory)),
          scratch(other.scratch) {}

    bool tile(const Pass<T>& pass, const Tile& t) {
      const int width = owner.packed_.width;
      const std::size_t n_row_classes = std::size_t(owner.last_class(t.p_end - 1) - t.row_class + 1);
      const std::size_t n_column_classes = std::size_t(t.n_column_classes);
      const std::size_t n_row = std::size_t(t.p_end - t.p_begin) * std::size_t(width);
      const std::size_t n_column = std::size_t(t.q_end - t.q_begin) * std::size_t(width);
      const bool with_rows = owner.shared_.options.row_sums;
      const std::size_t per_output = n_column_classes * n_row + n_row_classes * n_column;
      const std::size_t n_outputs = std::size_t(pass.n_outputs);
      block.assign(n_row_classes * n_column_classes * n_outputs, 0);
      rows.assign(with_rows ? per_output * n_outputs : 0, 0);
      sums.clear();
      for (std::size_t o = 0; o < n_outputs; ++o) {
        const bool kernel_rows = with_rows && owner.scales_[o].row;
        std::int64_t* r = rows.data() + o * per_output;
        sums.push_back({block.data() + o * n_row_classes * n_column_classes, kernel_rows ? r : nullptr,
                        kernel_rows ? r + n_column_classes * n_row : nullptr});
      }
      const bool finite = routines<T>().sums(pass, t, scratch, sums.data());
      owner.add(t, n_row_classes, sums);
      return finite;
    }
  };

  int first_class(int p) const { return segments_.list[std::size_t(segments_.first[std::size_t(p)])].cls; }
  int last_class(int p) const { return segments_.list[std::size_t(segments_.first[std::size_t(p) + 1]) - 1].cls; }

  std::vector<Tile> make_tiles() const {
    const int n = packed_.n_panels, width = packed_.width;
    const std::size_t panel_bytes = std::size_t(packed_.depth) * std::size_t(width) * sizeof(T);
    int size = shared_.options.tile_panels;
    if (size <= 0) {
      size = std::clamp(int(kTileBytes / panel_bytes), 1, kTileRows / width);
      while (size > 1 && std::int64_t(n) * n / (std::int64_t(size) * size) < 16 * shared_.options.n_threads) size /= 2;
    }
    std::vector<Tile> tiles;
    for (int p = 0; p < n; p += size)
      for (int q = p; q < n; q += size) {
        Tile t{p, std::min(n, p + size), q, std::min(n, q + size), first_class(p), first_class(q), 0};
        t.n_column_classes = last_class(t.q_end - 1) - t.column_class + 1;
        const bool any = within_ ? last_class(t.p_end - 1) >= t.column_class : t.row_class != last_class(t.q_end - 1);
        if (any) tiles.push_back(t);
      }
    return tiles;
  }

  // Adds the integers of a tile to those of the call.
  void add(const Tile& t, std::size_t n_row_classes, const std::vector<TileSums>& sums) {
    const std::size_t n_classes = shared_.rows.n_classes();
    const std::int64_t n = shared_.rows.n();
    const std::int64_t width = packed_.width;
    const std::lock_guard lock(mutex_);
    for (std::size_t o = 0; o < sums.size(); ++o) {
      KernelSums& kernel = shared_.sums[std::size_t(kernels_[o])];
      std::vector<Int128>& total = sensitivity_[o] ? kernel.sensitivity : kernel.block;
      const auto n_column_classes = std::size_t(t.n_column_classes);
      for (std::size_t rc = 0; rc < n_row_classes; ++rc)
        for (std::size_t cc = 0; cc < n_column_classes; ++cc)
          total[(rc + std::size_t(t.row_class)) * n_classes + cc + std::size_t(t.column_class)] +=
              sums[o].block[rc * n_column_classes + cc];
      if (!sums[o].rows) continue;
      std::int64_t* r = shared_.row_sums[std::size_t(kernels_[o])];
      const auto add_rows = [&](const std::int64_t* from, std::size_t count, int cls, int p_begin, int p_end) {
        const std::int64_t begin = p_begin * width, rows = (p_end - p_begin) * width;
        for (std::size_t c = 0; c < count; ++c)
          for (std::int64_t i = 0; i < rows && begin + i < n; ++i)
            r[(c + std::size_t(cls)) * std::size_t(n) + std::size_t(begin + i)] +=
                from[c * std::size_t(rows) + std::size_t(i)];
      };
      add_rows(sums[o].rows, n_column_classes, t.column_class, t.p_begin, t.p_end);
      add_rows(sums[o].columns, n_row_classes, t.row_class, t.q_begin, t.q_end);
    }
  }

  // Exponents and scales of every output, from the diagonals and reference distances in sorted order.
  void make_scales() {
    const Rows& rows = shared_.rows;
    const std::size_t n_classes = rows.n_classes(), n = std::size_t(rows.n());
    std::size_t kernel = 0;
    for (std::size_t c = 0; c < shared_.specs.size(); ++c) {
      const OutputList& list = shared_.lists[c];
      for (std::size_t o = 0; o < list.size(); ++o) {
        const std::size_t at = kernel + std::size_t(list[o].kernel);
        const bool sensitivity = list[o].spec.quantity == Quantity::sensitivity;
        kernels_.push_back(int(at));
        sensitivity_.push_back(sensitivity);
        std::vector<double> total(n_classes), spread(n_classes);
        const double cap = double(stores_[c]->chain.cap);
        for (std::size_t cls = 0; cls < n_classes; ++cls)
          for (std::size_t r = std::size_t(rows.begins[cls]); r < std::size_t(rows.begins[cls + 1]); ++r) {
            total[cls] += sensitivity ? shared_.mu[at][r]
                          : within_   ? shared_.reference[at][r]
                                      : std::sqrt(shared_.sums[at].k[r]);
            if (sensitivity) spread[cls] += shared_.mu[at][r] * double(packed_.spreads[r]);
          }
        KernelSums& kernel_sums = shared_.sums[at];
        if (sensitivity && within_)
          for (std::size_t r = 0; r < n; ++r) {
            const double mu = double(T(shared_.mu[at][r]));
            kernel_sums.sensitivity_diagonal[std::size_t(rows.cls[r])] +=
                mu * mu * cap * 2 * double(packed_.spreads[r]);
          }
        std::vector<int>& exponents = sensitivity ? kernel_sums.sensitivity_exponent : kernel_sums.exponent;
        for (std::size_t i = 0; i < n_classes; ++i)
          for (std::size_t j = within_ ? i : i + 1; j < (within_ ? i + 1 : n_classes); ++j)
            exponents[i * n_classes + j] =
                exponent_above(1.01 * (sensitivity ? cap * (total[i] * spread[j] + spread[i] * total[j])
                                       : within_   ? 4 * rows.size(i) * total[i]  // D2_ij <= 2 (D2_im + D2_jm)
                                                   : total[i] * total[j]));
        Scales scales;
        scales.block = exponents.data();
        if (shared_.options.row_sums && !sensitivity) {
          std::vector<double>& row = within_ ? kernel_sums.row_scale_within : kernel_sums.row_scale;
          std::vector<double>& column = within_ ? kernel_sums.column_scale_within : kernel_sums.column_scale;
          row.assign(packed_.n_rows(), 0.0);
          column.assign(n_classes, 1.0);
          for (std::size_t r = 0; r < n; ++r) {
            const std::size_t cls = std::size_t(rows.cls[r]);
            row[r] =
                within_ ? std::ldexp(
                              1.0, 61 - exponent_above(2.02 * (rows.size(cls) * shared_.reference[at][r] + total[cls])))
                        : std::ldexp(1.0, 31 - exponent_above(1.01 * std::sqrt(shared_.sums[at].k[r])));
          }
          if (!within_)
            for (std::size_t cls = 0; cls < n_classes; ++cls)
              column[cls] = std::ldexp(1.0, 30 - exponent_above(1.01 * total[cls]));
          scales.row = row.data();
          scales.column = column.data();
        }
        scales_.push_back(scales);
      }
      kernel += shared_.specs[c].outputs.size();
    }
  }

 private:
  Shared& shared_;
  bool within_;
  Packed<T> packed_;
  Segments segments_;
  std::vector<Tile> tiles_;
  std::vector<std::unique_ptr<ChainStore<T>>> stores_;
  std::vector<Scales> scales_;
  std::vector<int> kernels_;       // per output
  std::vector<char> sensitivity_;  // per output
  std::mutex mutex_;
};

}  // namespace nc1fast
