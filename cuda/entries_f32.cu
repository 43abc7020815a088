#include "entries.hpp"

namespace nc1fast::device {

// Compiled in entries_digits.cu.
cudaError_t start_slices(float* panels, int n_panels, int depth, float* half, cudaStream_t stream);
cudaError_t start_digit_sums(const SumsWork<float>& work, bool deep, std::size_t shared_bytes, cudaStream_t stream);

namespace {
constexpr Launches<float> with_digits(Launches<float> launches) {
  launches.slices = &start_slices;
  launches.digit_sums = &start_digit_sums;
  return launches;
}
}  // namespace

const Launches<float> launches_f32 = with_digits(Entries<float>::launches);

}  // namespace nc1fast::device
