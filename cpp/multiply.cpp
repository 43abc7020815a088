// Products of a kernel with numbers, tile by tile: every tile is computed once and serves its rows and its columns.
#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <vector>

#include "cpu.hpp"
#include "kept_tiles.hpp"

namespace nc1fast {
namespace {

struct Block {
  int row, column;
};

// Blocks that tiles lie in: all of a rectangle, or the upper triangle of a square, whose row r and the one as far from
// its end are as long as one wide row together.
struct Blocks {
  std::int64_t n_rows, n_columns;
  bool symmetric;

  std::int64_t count() const { return symmetric ? n_rows * (n_rows + 1) / 2 : n_rows * n_columns; }
  Block at(std::int64_t item) const {
    if (!symmetric) return {int(item / n_columns), int(item % n_columns)};
    const std::int64_t even = n_rows % 2 == 0, wide = n_rows + even, r = item / wide, c = item % wide;
    if (c < n_rows - r) return {int(r), int(r + c)};
    const std::int64_t other = n_rows - r - even;
    return {int(other), int(other + c - (n_rows - r))};
  }
};

// Sums of the rows on one side of the tiles: those of a block are added by one thread at a time.
template <class T>
class Side {
 public:
  Side(const Routines<T>& on, const ProductSums& sums, const double* factor_scale, int k, std::int64_t n, int panels)
      : on_(on),
        sums_(sums),
        factor_scale_(factor_scale),
        k_(k),
        n_(n),
        panels_(panels),
        locks_(std::make_unique<std::mutex[]>(std::size_t(n_blocks()))) {}

  std::int64_t n_panels() const { return (n_ + on_.panel - 1) / on_.panel; }
  std::int64_t n_blocks() const { return (n_panels() + panels_ - 1) / panels_; }
  int begin(int block) const { return block * panels_; }
  int end(int block) const { return int(std::min<std::int64_t>(n_panels(), begin(block) + std::int64_t(panels_))); }
  std::size_t room() const { return std::size_t(panels_) * std::size_t(k_) * std::size_t(on_.panel); }

  // from: (k, rows of the block's panels). False where a sum is out of its bounds.
  bool add(int block, const double* from) const {
    const std::lock_guard lock(locks_[std::size_t(block)]);
    const std::ptrdiff_t first = std::ptrdiff_t(begin(block)) * on_.panel,
                         width = std::ptrdiff_t(end(block)) * on_.panel - first;
    const int rows = int(std::min<std::ptrdiff_t>(width, n_ - first));
    bool finite = true;
    for (int j = 0; j < k_; ++j, from += width)
      finite &=
          on_.add_row_sums(sums_.sums + j * sums_.stride + first, from, sums_.scale + first, factor_scale_[j], 0, rows);
    return finite;
  }

 private:
  const Routines<T>& on_;
  const ProductSums& sums_;
  const double* factor_scale_;
  int k_;
  std::int64_t n_;
  int panels_;
  std::unique_ptr<std::mutex[]> locks_;
};

}  // namespace

template <class T>
bool Cpu::multiply(const Matrix& x, const Matrix& z, const Kernels& kernels, const KernelProduct<T>& product,
                   int n_threads, const Poll& poll) const {
  const Routines<T>& on = routines<T>(set_);
  const KeptTiles<T> tiles(on, x, z, kernels, n_threads);
  const GramPass<T>& pass = tiles.rows.pass;
  const Multiplicands<T>& with = product.with;
  const int panels = product.tile_rows / on.panel;
  const Side<T> rows(on, product.rows, product.factor_scale, with.k, pass.n_rows, panels);
  const Side<T> columns(on, pass.symmetric ? product.rows : product.columns, product.factor_scale, with.k,
                        pass.n_columns, panels);
  const Side<T>& beside = pass.symmetric ? rows : columns;
  struct Worker {
    UnitScratch<T> unit;
    Buffer<double> of_rows, of_columns;
  };
  std::vector<Worker> workers;
  for (int w = 0; w < std::max(1, n_threads); ++w)
    workers.push_back({UnitScratch<T>(on.panel, tiles.rows.n_outputs()), Buffer<double>(rows.room()),
                       Buffer<double>(with.of_rows ? columns.room() : 0)});
  const Blocks blocks{rows.n_blocks(), columns.n_blocks(), pass.symmetric};
  std::atomic<bool> finite{true};
  const bool finished = parallel_for(
      blocks.count(), n_threads,
      [&](int w, std::int64_t item) {
        Worker& worker = workers[std::size_t(w)];
        const Block block = blocks.at(item);
        const Tile tile{rows.begin(block.row),
                        rows.end(block.row),
                        columns.begin(block.column),
                        columns.end(block.column),
                        0,
                        0,
                        0};
        std::fill_n(worker.of_rows.get(), rows.room(), 0.0);
        if (with.of_rows) std::fill_n(worker.of_columns.get(), columns.room(), 0.0);
        on.multiply(pass, with, tile, worker.unit.scratch, worker.of_rows.get(), worker.of_columns.get());
        bool bounded = rows.add(block.row, worker.of_rows.get());
        if (with.of_rows) bounded &= beside.add(block.column, worker.of_columns.get());
        if (!bounded) finite = false;
      },
      [&](std::int64_t done, std::int64_t n) { return !poll || poll(done, n); });
  if (!finite) throw std::overflow_error("the kernel overflows or is not a number for a pair of rows");
  return finished;
}
template bool Cpu::multiply(const Matrix&, const Matrix&, const Kernels&, const KernelProduct<float>&, int,
                            const Poll&) const;
template bool Cpu::multiply(const Matrix&, const Matrix&, const Kernels&, const KernelProduct<double>&, int,
                            const Poll&) const;

}  // namespace nc1fast
