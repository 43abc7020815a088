#include "engine.hpp"

#include <cmath>
#include <memory>
#include <stdexcept>

#include "tile_pass.hpp"

namespace nc1fast {
namespace {

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

// Sums of squares of differences must stay normal numbers.
void check_range(double k, bool single) {
  const double range = single ? 1e20 : 1e100;
  if (!(k <= range) || (k != 0 && k < 1 / range))
    throw std::overflow_error("values on the diagonal go beyond 1e" + std::string(single ? "+-20 (float32)" : "+-100"));
}

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
          check_range(kernels[o].k, shared.options.single_within || shared.options.single_between);
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
    shared.lists.push_back(outputs_by_level(chain));
    shared.stages.push_back(make_row_stage(chain));
    for (std::size_t o = 0; o < chain.outputs.size(); ++o) {
      KernelSums kernel;
      kernel.block.assign(n_classes * n_classes, 0);
      kernel.exponent.assign(n_classes * n_classes, 0);
      if (chain.root(chain.outputs[o])) {
        kernel.sensitivity.assign(n_classes * n_classes, 0);
        kernel.sensitivity_exponent.assign(n_classes * n_classes, 0);
      }
      for (auto* v :
           {&kernel.traces, &kernel.slopes, &kernel.slope_squares, &kernel.spread_slopes, &kernel.sensitivity_diagonal})
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

}  // namespace nc1fast
