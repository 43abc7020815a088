// The parts of a block one at a time, so that ci/cuda_roofline.py can count their instructions: in the kernels
// themselves every activation stands beside every other.
#include "digit_products.hpp"
#include "entries.hpp"

namespace nc1fast::device {

template <class T>
__global__ void __launch_bounds__(kThreads, kBlocks<T>)
    product(const T* a, const T* b, int depth, const T* half_a, const T* half_b) {
  chords_of<true>(a, b, depth, half_a, half_b, shared_memory<T>());
}

template <class T>
__global__ void __launch_bounds__(kThreads, 5)
    digits(const T* a, const T* b, int depth, const T* half_a, const T* half_b) {
  if constexpr (kByteTensor) {
    T* const chords = shared_memory<T>();
    digit_products(digits_of(a, 0, depth), digits_of(b, 0, depth), depth, chords, [=](int row, int column, T product) {
      chords[row * kWidth + column] = chord<true, T>(product, half_a[row] + half_b[column]);
    });
  }
}

template <class T, class Act, Form F, bool Tangent>
__global__ void __launch_bounds__(kThreads, kBlocks<T>)
    epilogue(const __grid_constant__ SumsWork<T> work, int p, int q, int first, int last) {
  T* chords = shared_memory<T>();
  T* held = work.in_place ? chords : chords + kWidth * kWidth;
  values_of<T, Act, F, Tangent, false>(work.pass.chains[0], p, q, chords, {first, last}, held);
}

template <class T>
__global__ void __launch_bounds__(kThreads, kBlocks<T>)
    reduction(const __grid_constant__ SumsWork<T> work, int p, int q, int output) {
  reduce<false>(work, p, q, shared_memory<T>(), output);
}

template <class T, bool Within>
__global__ void __launch_bounds__(kThreads, kBlocks<T>) root(const __grid_constant__ SumsWork<T> work, int p, int q) {
  add_root<Within>(work, p, q, shared_memory<T>(), 0);
}

#define NC1FAST_EPILOGUE(T, Act, F, Tangent) \
  template __global__ void epilogue<T, Act, Form::F, Tangent>(const __grid_constant__ SumsWork<T>, int, int, int, int)
#define NC1FAST_PROBES(T)                                                                    \
  template __global__ void product<T>(const T*, const T*, int, const T*, const T*);          \
  template __global__ void reduction<T>(const __grid_constant__ SumsWork<T>, int, int, int); \
  template __global__ void root<T, false>(const __grid_constant__ SumsWork<T>, int, int);    \
  template __global__ void root<T, true>(const __grid_constant__ SumsWork<T>, int, int);     \
  NC1FAST_EPILOGUE(T, Relu, covariance, false);                                              \
  NC1FAST_EPILOGUE(T, Relu, covariance, true);                                               \
  NC1FAST_EPILOGUE(T, Relu, rectifier_tangent, true);                                        \
  NC1FAST_EPILOGUE(T, Relu, rectifier_both, true);                                           \
  NC1FAST_EPILOGUE(T, Relu, rectifier_distance, false);                                      \
  NC1FAST_EPILOGUE(T, Relu, rectifier_distance, true);                                       \
  NC1FAST_EPILOGUE(T, Erf, covariance, false);                                               \
  NC1FAST_EPILOGUE(T, Erf, erf_distance, false)

template __global__ void digits<float>(const float*, const float*, int, const float*, const float*);
NC1FAST_PROBES(float);
NC1FAST_PROBES(double);

}  // namespace nc1fast::device
