// Tiles of a matrix of kernel values on the processor, which are kept or multiplied.
#pragma once

#include <vector>

#include "gram_rows.hpp"
#include "isa/isa.hpp"

namespace nc1fast {

// Chords of one unit, the same of rows with their bias, and values.
template <class T>
struct UnitScratch {
  Buffer<T> memory;
  std::vector<T*> values;
  Scratch<T> scratch;

  UnitScratch(int width, std::size_t n_outputs) : memory(std::size_t(width) * std::size_t(width) * (2 + n_outputs)) {
    const std::size_t unit = std::size_t(width) * std::size_t(width);
    for (std::size_t o = 0; o < n_outputs; ++o) values.push_back(memory.get() + unit * (o + 2));
    scratch = {memory.get(), memory.get() + unit, values.data(), nullptr, nullptr};
  }
};

// The tiles of a matrix of kernel values, row panel by row panel.
template <class T>
struct KeptTiles {
  const Routines<T>& on;
  GramRows<T> rows;

  KeptTiles(const Routines<T>& on_, const Matrix& x, const Matrix& z, const Kernels& kernels, int n_threads)
      : on(on_), rows(on.panel, &on, x, z, kernels, n_threads) {
    for (Chain<T>& chain : rows.chains()) take_epilogue(chain, on);
  }

  // work(scratch, p) for every panel of rows, each by one thread. False when stopped.
  template <class Work>
  bool for_each_row_panel(int n_threads, const Poll& poll, const Work& work) const {
    return parallel_for(
        rows.n_row_panels, n_threads,
        [&](int, std::int64_t p) { work(UnitScratch<T>(on.panel, rows.n_outputs()).scratch, int(p)); },
        [&](std::int64_t done, std::int64_t n) { return !poll || poll(done, n); });
  }
};

}  // namespace nc1fast
