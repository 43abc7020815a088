#include "cpu.hpp"

#include <algorithm>
#include <memory>
#include <vector>

#include "kept_tiles.hpp"
#include "tile_pass.hpp"

namespace nc1fast {
namespace {

constexpr int kMatrixPanels =
    8;  // sides of a tile of a matrix product: it stays in L2 with the panels that it is made of

template <class T>
bool gram_by(const InstructionSet& set, const Matrix& x, const Matrix& z, const Kernels& kernels, int n_threads,
             const Poll& poll, T* out) {
  KeptTiles<T> tiles(routines<T>(set), x, z, kernels, n_threads);
  GramPass<T>& pass = tiles.rows.pass;
  pass.out = out;
  return tiles.for_each_row_panel(n_threads, poll, [&](const Scratch<T>& scratch, int p) {
    for (int q = pass.symmetric ? p : 0; q < tiles.rows.n_column_panels; ++q) tiles.on.gram(pass, p, q, scratch);
  });
}

}  // namespace

Cpu::Cpu() : set_(isa::selected()) {}

int Cpu::panel(bool single) const { return single ? set_.f32.panel : set_.f64.panel; }

std::size_t Cpu::row(bool single, int depth) const {
  return single ? set_.f32.products.row(depth) : set_.f64.products.row(depth);
}

TileSize Cpu::tile(bool single) const {
  return {0, single ? set_.f32.products.tile_bytes : set_.f64.products.tile_bytes};
}

std::int64_t Cpu::row_step() const { return kRowStep; }

std::unique_ptr<AnyPass> Cpu::pass(const Shared& shared, bool within, std::int64_t n_rows) const {
  const std::size_t room = std::size_t((n_rows + kRowStep - 1) / kRowStep * kRowStep);
  if (within ? shared.options.single_within : shared.options.single_between)
    return std::make_unique<TilePass<float>>(shared, within, room, set_.f32);
  return std::make_unique<TilePass<double>>(shared, within, room, set_.f64);
}

bool Cpu::gram(const Matrix& x, const Matrix& z, const Kernels& kernels, int n_threads, const Poll& poll,
               float* out) const {
  return gram_by(set_, x, z, kernels, n_threads, poll, out);
}
bool Cpu::gram(const Matrix& x, const Matrix& z, const Kernels& kernels, int n_threads, const Poll& poll,
               double* out) const {
  return gram_by(set_, x, z, kernels, n_threads, poll, out);
}

bool Cpu::product(const Matrix& x, const ChainSpec& chain, double scale, const double* inverse, const double* factor,
                  int n_outputs, int n_threads, const Poll& poll, double* out) const {
  const Routines<double>& on = set_.f64;
  const KeptTiles<double> tiles(on, x, {}, Kernels{{chain}, {}}, n_threads);
  const GramRows<double>& rows = tiles.rows;
  const std::ptrdiff_t unit = on.stride, stride = (x.d + unit - 1) / unit * unit;
  const std::size_t size = std::size_t(rows.n_row_panels * on.panel * stride);
  Buffer<double> padded(size), sums(size);
  std::fill_n(padded.get(), size, 0.0);
  std::fill_n(sums.get(), size, 0.0);
  RowReader reader(x);
  for (std::ptrdiff_t i = 0; i < x.n; ++i) reader.read(nullptr, i, 1, padded.get() + i * stride);
  const Product<double> product{scale, inverse, factor, n_outputs, int(stride), padded.get(), sums.get()};
  const bool finished = tiles.for_each_row_panel(n_threads, poll, [&](const Scratch<double>& scratch, int p) {
    for (int q = 0; q < rows.n_column_panels; ++q) on.product(rows.pass, product, p, q, scratch);
  });
  for (std::ptrdiff_t i = 0; i < x.n; ++i) std::copy_n(sums.get() + i * stride, x.d, out + i * x.d);
  return finished;
}

template <class T>
bool Cpu::matmul(const MatrixProduct<T>& of, int n_threads, const Poll& poll) const {
  const Routines<T>& on = routines<T>(set_);
  // B^T A^T has the same bits, and a strip of few rows is less padding than a panel of few columns.
  if (of.n_columns < std::min<std::ptrdiff_t>(of.n_rows, on.panel))
    return matmul<T>({of.n_columns, of.n_rows, of.n_inner, of.b, of.b_column, of.b_inner, of.a, of.a_inner, of.a_row,
                      of.out, of.out_column, of.out_row},
                     n_threads, poll);
  const auto panels_of = [&](std::ptrdiff_t n) { return (n + on.panel - 1) / on.panel; };
  const std::ptrdiff_t n_row = panels_of(of.n_rows), n_column = panels_of(of.n_columns);
  int panels = int(std::clamp<std::ptrdiff_t>(std::max(n_row, n_column), 1, kMatrixPanels));
  const auto tiles = [&](std::ptrdiff_t n) { return (n + panels - 1) / panels; };
  while (panels > 1 && tiles(n_row) * tiles(n_column) < 4 * n_threads) panels /= 2;
  const std::int64_t across = tiles(n_column), n_tiles = tiles(n_row) * across;
  std::vector<Buffer<T>> scratch;  // of each thread that has a tile
  for (std::int64_t w = 0; w < std::clamp<std::int64_t>(n_tiles, 1, std::max(1, n_threads)); ++w)
    scratch.emplace_back(on.matmul_scratch(panels));
  return parallel_for(
      n_tiles, n_threads,
      [&](int w, std::int64_t item) {
        const std::ptrdiff_t width = std::ptrdiff_t(panels) * on.panel;
        on.matmul(of, item / across * width, item % across * width, panels, scratch[std::size_t(w)].get());
      },
      [&](std::int64_t done, std::int64_t n) { return !poll || poll(done, n); });
}
template bool Cpu::matmul(const MatrixProduct<float>&, int, const Poll&) const;
template bool Cpu::matmul(const MatrixProduct<double>&, int, const Poll&) const;

}  // namespace nc1fast
