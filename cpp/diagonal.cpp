#include <cmath>
#include <stdexcept>
#include <vector>

#include "engine.hpp"
#include "reader.hpp"
#include "rows.hpp"

namespace nc1fast {

void diagonal(const Matrix& x, const ChainSpec& chain, int n_values, double* out) {
  const Frame frame{InputLayer::of(chain), int(x.d), {}};
  const auto stage = make_row_stage(chain);
  const Rounding rounding(false, frame.d, frame.depth());
  std::vector<Layer> levels(std::size_t(chain.n_duals()) + 1);
  std::vector<double> row(std::size_t(x.d));
  RowReader reader(x);
  OutputRow kernel;
  for (std::int64_t r = 0; r < x.n; ++r) {
    reader.read(nullptr, r, 1, row.data());
    const RowInput in = frame.measure(row.data(), 0);
    stage->layers(in, {}, levels.data());
    stage->outputs(in, {}, frame.d, rounding, levels.data(), &kernel);
    if (!std::isfinite(kernel.k)) throw std::overflow_error("the kernel overflows");
    const double values[] = {kernel.k, kernel.diagonal, kernel.slope, kernel.noise + kernel.shift};
    for (int v = 0; v < n_values; ++v) out[v * x.n + r] = values[v];
  }
}

}  // namespace nc1fast
