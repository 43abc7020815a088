// Class sums in float32 of rows that are digits.
#include "digit_products.hpp"
#include "entries.hpp"

namespace nc1fast::device {
namespace {

constexpr int kDigitBlocks = 6;  // that a multiprocessor has registers for

}  // namespace

// T: float.
template <class T>
__global__ void __launch_bounds__(kThreads) slices(T* panels, int depth) {
  if constexpr (kByteTensor) slice_panel(panels + block() * depth * kWidth, depth);
}

template <class T>
__global__ void __launch_bounds__(kThreads) digit_norms(const T* panels, int depth, T* half) {
  if constexpr (kByteTensor) {
    const int p = int(block());
    const unsigned char* a = digits_of(panels, p, depth);
    digit_products(a, a, depth, shared_memory<T>(), [=](int row, int column, T product) {
      if (row == column && product != 0) half[std::ptrdiff_t(p) * kWidth + row] = T(0.5) * product;
    });
  }
}

template <class T, bool Within, bool Deep>
__global__ void __launch_bounds__(kThreads, kDigitBlocks) digit_sums(const __grid_constant__ SumsWork<T> work) {
  if constexpr (kByteTensor) {
    const Pass<T>& pass = work.pass;
    sum_unit<Within, Deep>(work, [&](int p, int q, T* chords) __attribute__((always_inline)) {
      digit_products(digits_of(pass.panels, p, pass.depth), digits_of(pass.panels, q, pass.depth), pass.depth, chords,
                     [&](int row, int column, T product) __attribute__((always_inline)) {
                       const T *half_a = pass.half_norms + std::ptrdiff_t(p) * kWidth,
                               *half_b = pass.half_norms + std::ptrdiff_t(q) * kWidth;
                       chords[row * kWidth + column] = chord<!Within, T>(product, half_a[row] + half_b[column]);
                     });
    });
  }
}

cudaError_t start_slices(float* panels, int n_panels, int depth, float* half, cudaStream_t stream) {
  const cudaError_t error = launch(&slices<float>, n_panels, 0, stream, panels, depth);
  if (error != cudaSuccess) return error;
  return launch(&digit_norms<float>, n_panels, digit_bytes(depth), stream, panels, depth, half);
}

cudaError_t start_digit_sums(const SumsWork<float>& work, bool deep, std::size_t shared_bytes, cudaStream_t stream) {
  const auto entry = work.pass.within ? deep ? &digit_sums<float, true, true> : &digit_sums<float, true, false>
                     : deep           ? &digit_sums<float, false, true>
                                      : &digit_sums<float, false, false>;
  return launch(entry, work.n_units, shared_bytes, stream, work);
}

}  // namespace nc1fast::device
