// Operations in float64 that are rounded one by one, as the processor rounds them outside of tiles: never contracted.
#pragma once

#include "device.hpp"

namespace nc1fast::device {

#if defined(__CUDACC__)
__device__ __forceinline__ double plus(double a, double b) { return __dadd_rn(a, b); }
__device__ __forceinline__ double minus(double a, double b) { return __dsub_rn(a, b); }
__device__ __forceinline__ double times(double a, double b) { return __dmul_rn(a, b); }
#else
inline double plus(double a, double b) { return a + b; }
inline double minus(double a, double b) { return a - b; }
inline double times(double a, double b) {
  double product = a * b;
  asm("" : "+m"(product));  // the shim is compiled with contraction
  return product;
}
#endif

}  // namespace nc1fast::device
