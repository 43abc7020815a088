// What a pair of rows costs on aarch64, as functions that ci/neon_cycles.py finds in the assembly.
#include "nc1fast/tiles.hpp"

namespace nc1fast {

#define NC1FAST_PROBE(T, name)                                                                                  \
  extern "C" void product_##name(const T* a, const T* b, int depth, const T* half_a, const T* half_b, T* out) { \
    Inner<T, Neon>::chords<true>(a, b, depth, half_a, half_b, {b}, out);                                        \
  }                                                                                                             \
  extern "C" void values_##name(const Chain<T>& chain, const T* chords, T* const* values) {                     \
    epilogue<T, Neon, Relu, Form::covariance, false, false>(chain, 0, 0, chords, values);                       \
  }                                                                                                             \
  extern "C" double sums_##name(const T* values, int end, const Factors<T>& of, double* sums) {                 \
    return Reduction<T, Neon>::columns(values, 0, end, 0, end, {of, 0, 0}, sums);                               \
  }

NC1FAST_PROBE(float, f32)
NC1FAST_PROBE(double, f64)

}  // namespace nc1fast
