#include "far_entries.hpp"

namespace nc1fast::device {
namespace {

std::int64_t blocks_for(std::int64_t rows) {
  constexpr std::int64_t of_block = kThreads / kWarp * kFarRows;
  return (rows + of_block - 1) / of_block;
}

cudaError_t start_inspect(const FarSource& x, std::int64_t first, std::int64_t n, int* found, cudaStream_t stream) {
  return launch(x.wide ? &inspect<double> : &inspect<float>, blocks_for(n), 0, stream, x, first, n, found);
}

cudaError_t start_measure(const FarSource& x, std::int64_t first, std::int64_t n, const FarMeans& about,
                          RowLengths* out, cudaStream_t stream) {
  return launch(x.wide ? &measure<double> : &measure<float>, blocks_for(n), 0, stream, x, first, n, about, out);
}

cudaError_t start_add_up(const FarSource& x, const std::int64_t* order, std::int64_t first, std::int64_t n,
                         const std::int64_t* begins, int n_classes, double* totals, cudaStream_t stream) {
  const std::int64_t blocks = std::int64_t(n_classes) * ((x.d + kThreads - 1) / kThreads);
  return launch(x.wide ? &add_up<double> : &add_up<float>, blocks, 0, stream, x, order, first, n, begins, totals);
}

template <class T>
cudaError_t start_pack(const FarPanels<T>& work, std::int64_t n_panels, cudaStream_t stream) {
  const std::int64_t blocks = n_panels * ((work.padded + kFarColumns - 1) / kFarColumns);
  return launch(work.x.wide ? &pack<T, true> : &pack<T, false>, blocks, far_bytes<T>, stream, work);
}

}  // namespace

const FarLaunches far_launches{&start_inspect, &start_measure, &start_add_up, &start_pack<float>, &start_pack<double>};

}  // namespace nc1fast::device
