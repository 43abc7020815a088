// Gram matrices and diagonals: the same packed rows and epilogues as the pass, kept instead of summed.
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "chains.hpp"
#include "engine.hpp"
#include "threads.hpp"

namespace nc1fast {

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
  const OutputList list = outputs_by_level(chain);
  Packed<T> joint;
  joint.n_panels = packed_columns.n_panels + (symmetric ? 0 : packed_rows.n_panels);
  joint.width = packed_columns.width;
  joint.depth = packed_columns.depth;
  joint.half_norms = Buffer<T>(joint.n_rows());
  joint.spreads = Buffer<T>(joint.n_rows());
  std::fill_n(joint.half_norms.get(), joint.n_rows(), T(0.5));
  std::fill_n(joint.spreads.get(), joint.n_rows(), T(1));
  ChainStore<T> store(chain, list, *stage, false, Form::covariance, joint);
  Buffer<T> norms(joint.n_rows());
  std::fill_n(norms.get(), joint.n_rows(), T(0));
  const auto fill = [&](const Rows& rows, std::size_t at) {
    parallel_for((rows.n() + 255) / 256, n_threads, [&](int, std::int64_t item) {
      const auto own = stage->clone();
      std::vector<Layer> levels(std::size_t(chain.n_duals()) + 1);
      std::vector<OutputRow> kernels(chain.outputs.size());
      for (std::int64_t r = item * 256; r < std::min(rows.n(), (item + 1) * 256); ++r) {
        own->row({rows.a[std::size_t(r)], 0, 0, false}, 0, levels.data(), kernels.data());
        if (symmetric && !std::isfinite(kernels[0].k))
          throw std::overflow_error("the kernel overflows on the diagonal");
        norms[at + std::size_t(r)] = T(rows.a[std::size_t(r)]);
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
  pass.norms = norms.get();
  pass.chain = store.chain;
  pass.value = 0;
  for (std::size_t o = 0; o < list.size(); ++o)
    if (list[o].spec.quantity != Quantity::sensitivity) pass.value = int(o);
  pass.out = out;
  const std::size_t unit = std::size_t(joint.width) * std::size_t(joint.width);
  const std::int64_t n_columns = packed_columns.n_panels;
  return parallel_for(
      packed_rows.n_panels, n_threads,
      [&](int, std::int64_t p) {
        Buffer<T> memory(unit * (1 + list.size()));
        std::vector<T*> values;
        for (std::size_t o = 0; o < list.size(); ++o) values.push_back(memory.get() + unit * (o + 1));
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
    if (!std::isfinite(kernel.k)) throw std::overflow_error("the kernel overflows");
    out[r] = kernel.k;
  }
}

}  // namespace nc1fast
