#include "cpu.hpp"

#include <algorithm>
#include <memory>
#include <vector>

#include "gram_rows.hpp"
#include "isa/isa.hpp"
#include "tile_pass.hpp"

namespace nc1fast {
namespace {

// The tiles of a matrix of kernel values, row panel by row panel.
template <class T>
struct KeptTiles {
  GramRows<T> rows;

  KeptTiles(const Matrix& x, const Matrix& z, const ChainSpec& chain, int n_threads)
      : rows(routines<T>().panel, routines<T>().half_norms, x, z, chain, n_threads) {
    rows.pass.chain.epilogue = routines<T>().epilogue(rows.pass.chain.kind);
  }

  // work(scratch, p) for every panel of rows, each by one thread. False when stopped.
  template <class Work>
  bool for_each_row_panel(int n_threads, const Poll& poll, const Work& work) const {
    const std::size_t width = std::size_t(routines<T>().panel), unit = width * width;
    return parallel_for(
        rows.n_row_panels, n_threads,
        [&](int, std::int64_t p) {
          Buffer<T> memory(unit * (1 + rows.n_outputs()));
          std::vector<T*> values;
          for (std::size_t o = 0; o < rows.n_outputs(); ++o) values.push_back(memory.get() + unit * (o + 1));
          work(Scratch<T>{memory.get(), values.data(), nullptr, nullptr}, int(p));
        },
        [&](std::int64_t done, std::int64_t n) { return !poll || poll(done, n); });
  }
};

template <class T>
bool gram(const Matrix& x, const Matrix& z, const ChainSpec& chain, int n_threads, const Poll& poll, T* out) {
  KeptTiles<T> tiles(x, z, chain, n_threads);
  GramPass<T>& pass = tiles.rows.pass;
  pass.out = out;
  return tiles.for_each_row_panel(n_threads, poll, [&](const Scratch<T>& scratch, int p) {
    for (int q = pass.symmetric ? p : 0; q < tiles.rows.n_column_panels; ++q) routines<T>().gram(pass, p, q, scratch);
  });
}

class Cpu final : public Backend {
 public:
  int panel(bool single) const override { return single ? routines<float>().panel : routines<double>().panel; }
  std::int64_t row_step() const override { return kRowStep; }
  std::unique_ptr<AnyPass> pass(const Shared& shared, bool within, std::int64_t n_rows) const override {
    const std::size_t room = std::size_t((n_rows + kRowStep - 1) / kRowStep * kRowStep);
    if (within ? shared.options.single_within : shared.options.single_between)
      return std::make_unique<TilePass<float>>(shared, within, room);
    return std::make_unique<TilePass<double>>(shared, within, room);
  }
  bool gram(const Matrix& x, const Matrix& z, const ChainSpec& chain, int n_threads, const Poll& poll,
            float* out) const override {
    return nc1fast::gram(x, z, chain, n_threads, poll, out);
  }
  bool gram(const Matrix& x, const Matrix& z, const ChainSpec& chain, int n_threads, const Poll& poll,
            double* out) const override {
    return nc1fast::gram(x, z, chain, n_threads, poll, out);
  }
};

}  // namespace

const Backend& cpu() {
  static const Cpu backend;
  return backend;
}

bool product(const Matrix& x, const ChainSpec& chain, double scale, const double* inverse, const double* factor,
             int n_outputs, int n_threads, const Poll& poll, double* out) {
  const KeptTiles<double> tiles(x, {}, chain, n_threads);
  const GramRows<double>& rows = tiles.rows;
  const std::ptrdiff_t unit = routines<double>().stride, stride = (x.d + unit - 1) / unit * unit;
  const std::size_t size = std::size_t(rows.n_row_panels * routines<double>().panel * stride);
  Buffer<double> padded(size), sums(size);
  std::fill_n(padded.get(), size, 0.0);
  std::fill_n(sums.get(), size, 0.0);
  RowReader reader(x);
  for (std::ptrdiff_t i = 0; i < x.n; ++i) reader.read(nullptr, i, 1, padded.get() + i * stride);
  const Product<double> product{scale, inverse, factor, n_outputs, int(stride), padded.get(), sums.get()};
  const bool finished = tiles.for_each_row_panel(n_threads, poll, [&](const Scratch<double>& scratch, int p) {
    for (int q = 0; q < rows.n_column_panels; ++q) routines<double>().product(rows.pass, product, p, q, scratch);
  });
  for (std::ptrdiff_t i = 0; i < x.n; ++i) std::copy_n(sums.get() + i * stride, x.d, out + i * x.d);
  return finished;
}

}  // namespace nc1fast
