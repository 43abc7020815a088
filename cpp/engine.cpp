#include "engine.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <stdexcept>

#include "isa/isa.hpp"
#include "packing.hpp"
#include "rows.hpp"

namespace nc1fast {
namespace {

constexpr std::size_t kTileBytes = std::size_t(512) << 10;  // packed rows of a tile: half of a small L2
constexpr int kTileRows = 384;

template <class T>
const Routines<T>& routines();
template <>
const Routines<float>& routines() {
  return isa::selected().f32;
}
template <>
const Routines<double>& routines() {
  return isa::selected().f64;
}

template <class T>
constexpr double unit_roundoff = sizeof(T) == 4 ? 0x1p-24 : 0x1p-53;

// Smallest e with |x| < 2^e, within what a double can scale by.
int exponent_above(double x) {
  int e = 0;
  std::frexp(x, &e);
  return std::clamp(e, -450, 1000);
}

// The outputs of a chain sorted by level; each root kernel is followed, at the end, by its sensitivity.
struct OutputList {
  std::vector<OutputSpec> specs;
  std::vector<int> kernel;  // which output of the ChainSpec each one is, or is the sensitivity of
  explicit OutputList(const ChainSpec& chain) {
    for (std::size_t o = 0; o < chain.outputs.size(); ++o) {
      specs.push_back(chain.outputs[o]);
      kernel.push_back(int(o));
      if (!chain.root(chain.outputs[o])) continue;
      specs.push_back({chain.outputs[o].level, Quantity::sensitivity, 1, 0});
      kernel.push_back(int(o));
    }
    std::vector<int> by_level(specs.size());
    for (std::size_t i = 0; i < by_level.size(); ++i) by_level[i] = int(i);
    std::stable_sort(by_level.begin(), by_level.end(),
                     [&](int i, int j) { return specs[std::size_t(i)].level < specs[std::size_t(j)].level; });
    OutputList sorted(*this, by_level);
    std::swap(specs, sorted.specs);
    std::swap(kernel, sorted.kernel);
  }

 private:
  OutputList(const OutputList& other, const std::vector<int>& at) {
    for (const int i : at) {
      specs.push_back(other.specs[std::size_t(i)]);
      kernel.push_back(other.kernel[std::size_t(i)]);
    }
  }
};

// A chain as tiles of type T read it, with the arrays it points to.
template <class T>
class ChainStore {
 public:
  Chain<T> chain;

  ChainStore(const ChainSpec& spec, const OutputList& list, const RowStage& stage, bool within, Form form,
             const Packed<T>& packed)
      : n_rows_(packed.n_rows()), unused_(zeros()) {
    chain.epilogue = routines<T>().epilogue(spec.activation.c_str(), form, spec.tangent);
    if (!chain.epilogue) throw std::logic_error("no epilogue for " + spec.activation);
    chain.parameter = spec.parameter;
    chain.recursion = make_recursion<T>(spec);
    chain.half_norms = packed.half_norms.get();
    chain.spreads = packed.spreads.get();
    chain.cap = T(1 / std::sqrt(unit_roundoff<T> * (packed.depth + 8)));
    const unsigned fields = stage.fields(within);
    const int n_levels = std::max(1, chain.recursion.n_duals);
    for (int l = 0; l < n_levels; ++l)
      for (int f = 0; f < kFields; ++f) {
        if (fields >> f & 1) fields_[l][f] = zeros();
        // What no form reads is never loaded, but may be named: it points to zeros.
        chain.fields[l][f] = fields >> f & 1 ? fields_[l][f].get() : unused_.get();
      }
    for (std::size_t o = 0; o < list.specs.size(); ++o) {
      const OutputSpec& output = list.specs[o];
      outputs_.push_back({output.level, output.quantity, T(output.alpha), T(output.beta)});
      const bool sensitivity = output.quantity == Quantity::sensitivity;
      per_output_.push_back(sensitivity || form == Form::plain_distance || form == Form::covariance ? zeros() : Buffer<T>());
      diagonals_.push_back(sensitivity ? nullptr : per_output_.back().get());
      sensitivities_.push_back(sensitivity ? per_output_.back().get() : nullptr);
    }
    chain.n_outputs = int(outputs_.size());
    chain.outputs = outputs_.data();
    for (int l = 0; l <= kMaxLevels + 1; ++l)
      chain.first_output[l] = int(std::count_if(outputs_.begin(), outputs_.end(), [&](const auto& o) { return o.level < l; }));
    chain.diagonals = diagonals_.data();
    chain.sensitivities = sensitivities_.data();
  }

  void set(std::size_t r, const Layer* levels, const OutputRow* kernels, const OutputList& list) {
    for (int l = 0; l < std::max(1, chain.recursion.n_duals); ++l) {
      const Row<double>& x = levels[l].row;
      const Link<double>& y = levels[l].link;
      const double values[kFields] = {x.s,   x.h,      x.nu,        x.o, x.ds, x.dh, x.dnu, x.dalpha, x.cos_alpha,
                                      y.f, y.g, y.df, y.dg};
      for (int f = 0; f < kFields; ++f)
        if (T* array = fields_[l][f].get()) array[r] = T(values[f]);
    }
    for (std::size_t o = 0; o < list.specs.size(); ++o)
      if (T* array = per_output_[o].get()) {
        const OutputRow& kernel = kernels[list.kernel[o]];
        array[r] = T(list.specs[o].quantity == Quantity::sensitivity ? kernel.mu : kernel.k);
      }
  }

 private:
  Buffer<T> zeros() const {
    Buffer<T> b(n_rows_);
    std::fill(b.get(), b.get() + n_rows_, T(0));
    return b;
  }
  std::size_t n_rows_;
  Buffer<T> unused_;
  Buffer<T> fields_[kMaxLevels][kFields];
  std::vector<Buffer<T>> per_output_;
  std::vector<Output<T>> outputs_;
  std::vector<const T*> diagonals_, sensitivities_;
};

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
    if (!finite) throw std::runtime_error("the kernel overflows or is not a number for a pair of rows");
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
        const bool any = within_ ? last_class(t.p_end - 1) >= t.column_class
                                 : t.row_class != last_class(t.q_end - 1);
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
            r[(c + std::size_t(cls)) * std::size_t(n) + std::size_t(begin + i)] += from[c * std::size_t(rows) + std::size_t(i)];
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
      for (std::size_t o = 0; o < list.specs.size(); ++o) {
        const std::size_t at = kernel + std::size_t(list.kernel[o]);
        const bool sensitivity = list.specs[o].quantity == Quantity::sensitivity;
        kernels_.push_back(int(at));
        sensitivity_.push_back(sensitivity);
        std::vector<double> total(n_classes), spread(n_classes);
        const double cap = double(stores_[c]->chain.cap);
        for (std::size_t cls = 0; cls < n_classes; ++cls)
          for (std::size_t r = std::size_t(rows.begins[cls]); r < std::size_t(rows.begins[cls + 1]); ++r) {
            total[cls] += sensitivity ? shared_.mu[at][r] : within_ ? shared_.reference[at][r] : std::sqrt(shared_.sums[at].k[r]);
            if (sensitivity) spread[cls] += shared_.mu[at][r] * double(packed_.spreads[r]);
          }
        KernelSums& kernel_sums = shared_.sums[at];
        if (sensitivity && within_)
          for (std::size_t r = 0; r < n; ++r) {
            const double mu = double(T(shared_.mu[at][r]));
            kernel_sums.sensitivity_diagonal[std::size_t(rows.cls[r])] += mu * mu * cap * 2 * double(packed_.spreads[r]);
          }
        std::vector<int>& exponents = sensitivity ? kernel_sums.sensitivity_exponent : kernel_sums.exponent;
        for (std::size_t i = 0; i < n_classes; ++i)
          for (std::size_t j = within_ ? i : i + 1; j < (within_ ? i + 1 : n_classes); ++j)
            exponents[i * n_classes + j] = exponent_above(
                1.01 * (sensitivity ? cap * (total[i] * spread[j] + spread[i] * total[j])
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
            row[r] = within_ ? std::ldexp(1.0, 61 - exponent_above(2.02 * (rows.size(cls) * shared_.reference[at][r] + total[cls])))
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
  std::vector<int> kernels_;        // per output
  std::vector<char> sensitivity_;   // per output
  std::mutex mutex_;
};

// A pass in either type.
struct AnyPass {
  std::unique_ptr<TilePass<float>> f32;
  std::unique_ptr<TilePass<double>> f64;
  AnyPass(Shared& shared, bool within, bool single) {
    if (single)
      f32 = std::make_unique<TilePass<float>>(shared, within);
    else
      f64 = std::make_unique<TilePass<double>>(shared, within);
  }
  void set_row(std::size_t chain, std::size_t r, const Layer* levels, const OutputRow* kernels) {
    f32 ? f32->set_row(chain, r, levels, kernels) : f64->set_row(chain, r, levels, kernels);
  }
  std::int64_t n_tiles() const { return f32 ? f32->n_tiles() : f64->n_tiles(); }
  bool run(const Poll& poll) { return f32 ? f32->run(poll) : f64->run(poll); }
};

// Fills the row quantities of both passes and the per-class sums of every kernel.
void row_stage(Shared& shared, AnyPass& within, AnyPass& between) {
  const Rows& rows = shared.rows;
  const std::size_t n_classes = rows.n_classes(), n = std::size_t(rows.n());
  const double slack = shared.options.single_within ? 1e-5 : 1e-13;
  struct Block {
    std::size_t cls, begin, end;
  };
  std::vector<Block> blocks;
  for (std::size_t c = 0; c < n_classes; ++c)
    for (std::size_t r = std::size_t(rows.begins[c]), end = std::size_t(rows.begins[c + 1]); r < end; r += 256)
      blocks.push_back({c, r, std::min(end, r + 256)});
  std::size_t kernel = 0;
  for (std::size_t chain = 0; chain < shared.specs.size(); ++chain) {
    const std::size_t n_outputs = shared.specs[chain].outputs.size();
    std::vector<std::vector<double>> slope(n_outputs, std::vector<double>(n));
    parallel_for(std::int64_t(blocks.size()), shared.options.n_threads, [&](int, std::int64_t item) {
      const Block& block = blocks[std::size_t(item)];
      const auto stage = shared.stages[chain]->clone();
      stage->set_reference(rows.mean_a[block.cls]);
      std::vector<Layer> levels(std::size_t(shared.specs[chain].n_duals()) + 1);
      std::vector<OutputRow> kernels(n_outputs);
      for (std::size_t r = block.begin; r < block.end; ++r) {
        const RowInput in{rows.a[r], rows.da[r], rows.chord[r], bool(rows.centred[block.cls])};
        stage->row(in, slack, levels.data(), kernels.data());
        within.set_row(chain, r, levels.data(), kernels.data());
        between.set_row(chain, r, levels.data(), kernels.data());
        for (std::size_t o = 0; o < n_outputs; ++o) {
          shared.sums[kernel + o].k[r] = kernels[o].k;
          shared.reference[kernel + o][r] = kernels[o].reference;
          shared.mu[kernel + o][r] = kernels[o].mu;
          slope[o][r] = std::sqrt(kernels[o].slope);
        }
      }
    });
    for (std::size_t o = 0; o < n_outputs; ++o) {
      KernelSums& sums = shared.sums[kernel + o];
      for (std::size_t c = 0; c < n_classes; ++c) {
        // Kahan: the error of a trace does not grow with the number of rows.
        double total = 0, carry = 0;
        for (std::size_t r = std::size_t(rows.begins[c]); r < std::size_t(rows.begins[c + 1]); ++r) {
          const double term = sums.k[r] - carry, next = total + term;
          carry = (next - total) - term;
          total = next;
        }
        sums.traces[c] = total;
      }
      for (std::size_t r = 0; r < n; ++r) {
        const std::size_t c = std::size_t(rows.cls[r]);
        sums.slopes[c] += slope[o][r];
        sums.slope_squares[c] += slope[o][r] * slope[o][r];
        sums.spread_slopes[c] += slope[o][r] * (rows.centred[c] ? 2 * rows.chord[r] : 1.0);
      }
    }
    kernel += n_outputs;
  }
}

}  // namespace

bool class_sums(const Matrix& x, const std::int64_t* order, const std::vector<std::int64_t>& sizes,
                const std::vector<ChainSpec>& chains, const Options& options, std::vector<KernelSums>& sums,
                const std::vector<std::int64_t*>& row_sums) {
  const InputLayer layer = InputLayer::of(chains.at(0).weights.at(0), chains[0].biases.at(0));
  const Rows rows(x, order, sizes, layer, options.n_threads);
  const std::size_t n_classes = sizes.size(), n = std::size_t(rows.n());
  Shared shared{rows, options, chains, {}, {}, sums, row_sums, {}, {}};
  for (const ChainSpec& chain : chains) {
    shared.lists.emplace_back(chain);
    shared.stages.push_back(make_row_stage(chain));
    for (std::size_t o = 0; o < chain.outputs.size(); ++o) {
      KernelSums kernel;
      kernel.block.assign(n_classes * n_classes, 0);
      kernel.exponent.assign(n_classes * n_classes, 0);
      if (chain.root(chain.outputs[o])) {
        kernel.sensitivity.assign(n_classes * n_classes, 0);
        kernel.sensitivity_exponent.assign(n_classes * n_classes, 0);
      }
      for (auto* v : {&kernel.traces, &kernel.slopes, &kernel.slope_squares, &kernel.spread_slopes, &kernel.sensitivity_diagonal})
        v->assign(n_classes, 0.0);
      kernel.k.assign(n, 0.0);
      sums.push_back(std::move(kernel));
      shared.reference.emplace_back(n, 0.0);
      shared.mu.emplace_back(n, 0.0);
    }
  }
  AnyPass within(shared, true, options.single_within), between(shared, false, options.single_between);
  row_stage(shared, within, between);
  const std::int64_t total = within.n_tiles() + between.n_tiles();
  const auto poll_from = [&](std::int64_t before) {
    return [&, before](std::int64_t done, std::int64_t) { return !options.poll || options.poll(before + done, total); };
  };
  return within.run(poll_from(0)) && between.run(poll_from(within.n_tiles()));
}

template <class T>
bool gram(const Matrix& x, const Matrix& z, const ChainSpec& chain, int n_threads, const Poll& poll, T* out) {
  const InputLayer layer = InputLayer::of(chain.weights.at(0), chain.biases.at(0));
  const bool symmetric = z.data == nullptr;
  const Rows row_side(x, nullptr, {}, layer, n_threads);
  const Rows column_side(symmetric ? x : z, nullptr, {}, layer, n_threads);
  const Packed<T> packed_rows(row_side, false, routines<T>(), n_threads);
  const Packed<T> packed_columns(column_side, false, routines<T>(), n_threads);
  // One set of row quantities for both sides: the columns, then (if they differ) the rows.
  const std::size_t offset = symmetric ? 0 : packed_columns.n_rows();
  const auto stage = make_row_stage(chain);
  const OutputList list(chain);
  Packed<T> joint;
  joint.n_panels = packed_columns.n_panels + (symmetric ? 0 : packed_rows.n_panels);
  joint.width = packed_columns.width;
  joint.depth = packed_columns.depth;
  joint.half_norms = Buffer<T>(joint.n_rows());
  joint.spreads = Buffer<T>(joint.n_rows());
  std::fill_n(joint.half_norms.get(), joint.n_rows(), T(0.5));
  std::fill_n(joint.spreads.get(), joint.n_rows(), T(1));
  ChainStore<T> store(chain, list, *stage, false, Form::covariance, joint);
  const auto fill = [&](const Rows& rows, std::size_t at) {
    parallel_for((rows.n() + 255) / 256, n_threads, [&](int, std::int64_t item) {
      std::vector<Layer> levels(std::size_t(chain.n_duals()) + 1);
      std::vector<OutputRow> kernels(chain.outputs.size());
      for (std::int64_t r = item * 256; r < std::min(rows.n(), (item + 1) * 256); ++r) {
        stage->row({rows.a[std::size_t(r)], 0, 0, false}, 0, levels.data(), kernels.data());
        store.set(at + std::size_t(r), levels.data(), kernels.data(), list);
      }
    });
  };
  fill(column_side, 0);
  if (!symmetric) fill(row_side, offset);

  GramPass<T> pass;
  pass.depth = packed_rows.depth;
  pass.symmetric = symmetric;
  pass.refine = std::any_of(chain.outputs.begin(), chain.outputs.end(), [&](const auto& o) { return chain.root(o); });
  pass.row_panels = packed_rows.panels.get();
  pass.column_panels = packed_columns.panels.get();
  pass.row_half_norms = packed_rows.half_norms.get();
  pass.column_half_norms = packed_columns.half_norms.get();
  pass.n_rows = x.n;
  pass.n_columns = symmetric ? x.n : z.n;
  pass.row_offset = int(offset) / joint.width;
  pass.chain = store.chain;
  pass.value = 0;
  for (std::size_t o = 0; o < list.specs.size(); ++o)
    if (list.specs[o].quantity != Quantity::sensitivity) pass.value = int(o);
  pass.out = out;
  const std::size_t unit = std::size_t(joint.width) * std::size_t(joint.width);
  const std::int64_t n_columns = packed_columns.n_panels;
  return parallel_for(
      packed_rows.n_panels, n_threads,
      [&](int, std::int64_t p) {
        Buffer<T> memory(unit * (1 + list.specs.size()));
        std::vector<T*> values;
        for (std::size_t o = 0; o < list.specs.size(); ++o) values.push_back(memory.get() + unit * (o + 1));
        const Scratch<T> scratch{memory.get(), values.data(), nullptr, nullptr};
        for (std::int64_t q = symmetric ? p : 0; q < n_columns; ++q) routines<T>().gram(pass, int(p), int(q), scratch);
      },
      [&](std::int64_t done, std::int64_t n) { return !poll || poll(done, n); });
}
template bool gram<float>(const Matrix&, const Matrix&, const ChainSpec&, int, const Poll&, float*);
template bool gram<double>(const Matrix&, const Matrix&, const ChainSpec&, int, const Poll&, double*);

void diagonal(const Matrix& x, const ChainSpec& chain, double* out) {
  const Rows rows(x, nullptr, {}, InputLayer::of(chain.weights.at(0), chain.biases.at(0)), 1);
  const auto stage = make_row_stage(chain);
  std::vector<Layer> levels(std::size_t(chain.n_duals()) + 1);
  OutputRow kernel;
  for (std::int64_t r = 0; r < rows.n(); ++r) {
    stage->row({rows.a[std::size_t(r)], 0, 0, false}, 0, levels.data(), &kernel);
    out[r] = kernel.k;
  }
}

}  // namespace nc1fast
