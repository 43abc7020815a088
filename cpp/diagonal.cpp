#include <cmath>
#include <memory>
#include <stdexcept>
#include <vector>

#include "engine.hpp"
#include "expressions.hpp"
#include "reader.hpp"
#include "rows.hpp"

namespace nc1fast {

void diagonal(const Matrix& x, const Kernels& kernels, int n_values, double* out) {
  const Frame frame{InputLayer::of(kernels.chains.at(0)), int(x.d), {}};
  std::vector<std::unique_ptr<RowStage>> stages;
  for (const ChainSpec& chain : kernels.chains) stages.push_back(make_row_stage(chain));
  const Rounding rounding(false, frame.d, frame.depth());
  std::vector<Layer> levels(kMaxLevels + 1);
  std::vector<OutputRow> outputs(kernels.n_outputs());
  std::vector<double> row(std::size_t(x.d));
  RowReader reader(x);
  for (std::int64_t r = 0; r < x.n; ++r) {
    reader.read(nullptr, r, 1, row.data());
    const RowInput in = frame.measure(row.data(), 0);
    OutputRow* found = outputs.data();
    for (std::size_t c = 0; c < stages.size(); ++c) {
      stages[c]->layers(in, {}, levels.data());
      stages[c]->outputs(in, {}, frame.d, rounding, levels.data(), found);
      found += kernels.chains[c].outputs.size();
    }
    const OutputRow kernel = kernel_of_row(kernels, outputs);
    if (!std::isfinite(kernel.k)) throw std::overflow_error("the kernel overflows");
    const double values[] = {kernel.k, kernel.diagonal, kernel.slope, kernel.noise + kernel.shift};
    for (int v = 0; v < n_values; ++v) out[v * x.n + r] = values[v];
  }
}

}  // namespace nc1fast
