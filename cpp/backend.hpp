// What runs the tiles of a call: the processor (cpu.hpp) or a device. Everything before a tile and after its sums is
// the same for all of them.
#pragma once

#include <memory>
#include <vector>

#include "layout.hpp"
#include "scan.hpp"

namespace nc1fast {

class Backend;

// What the passes of a call share, and the sums they fill.
struct Shared {
  const Backend& backend;
  const Frame& frame;
  const std::vector<std::int64_t>& begins;
  const Options& options;
  Team& team;
  const Kernels& kernels;
  const Scan& scan;
  const Survey& survey;
  std::vector<KernelSums>& sums;
  const std::vector<std::int64_t*>& row_sums;
  const FarRows* far;  // or null
};

// One of the two passes of a call, within classes or between them, over one rectangle after another.
class AnyPass : public RowSink {
 public:
  // The tiles of a layout whose rows, those of its columns after those of its rows, are in place. False when stopped.
  virtual bool run(const Layout& layout, const Poll& poll) = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual int panel(bool single) const = 0;                   // its rows
  virtual std::size_t row(bool single, int depth) const = 0;  // numbers that a packed row takes
  virtual TileSize tile(bool single) const = 0;
  virtual std::int64_t row_step() const = 0;  // rows are divided at multiples of this
  // With room for n_rows, of the types that the options of the call ask for.
  virtual std::unique_ptr<AnyPass> pass(const Shared& shared, bool within, std::int64_t n_rows) const = 0;
  // out (n, m) of one kernel, the last of `kernels`; z.data == nullptr: of X with itself. False when stopped.
  virtual bool gram(const Matrix& x, const Matrix& z, const Kernels& kernels, int n_threads, const Poll& poll,
                    float* out) const = 0;
  virtual bool gram(const Matrix& x, const Matrix& z, const Kernels& kernels, int n_threads, const Poll& poll,
                    double* out) const = 0;
};

}  // namespace nc1fast
