// One number as a lane, on a device.
#pragma once

#include "device.hpp"
#include "nc1fast/math.hpp"

namespace nc1fast {

// As one load: nvcc copies byte by byte what __builtin_memcpy copies.
template <>
NC1FAST_HD inline float load<float>(const float* p) {
  return *p;
}
template <>
NC1FAST_HD inline double load<double>(const double* p) {
  return *p;
}

}  // namespace nc1fast

namespace nc1fast::math {

// sqrt(w) and 1/sqrt(w) to about 1 ulp: an estimate y, finite at w = 0, and, in e = 1 - w y^2, a step of order two
// (float) or three (double).
template <class T>
struct Roots {
  __device__ static T estimate(T w) { return device::rsqrt_estimate(larger(w, kSmallest<T>)); }
  __device__ static T rsqrt(T w) {
    const T y = estimate(w), e = T(1) - w * (y * y);
    return y + y * e * (sizeof(T) == 4 ? T(0.5) : T(0.375) * e + T(0.5));
  }
  __device__ static T rsqrt_above(T w) { return kAboveEstimate<T> * estimate(w); }
  __device__ static T sqrt(T w) {
    const T y = sizeof(T) == 4 ? estimate(w) : rsqrt(w), s = w * y;
    return s + T(0.5) * y * (w - s * s);
  }
  __device__ static T twice_sqrt(T w) {
    if constexpr (sizeof(T) == 8) return T(2) * sqrt(w);
    const T y = estimate(w), s = w * y;
    return s * (T(3) - s * y);
  }
};

template <>
struct Ops<float> : Roots<float> {
  __device__ static float abs(float v) { return ::fabsf(v); }
  __device__ static float copysign(float magnitude, float sign) { return ::copysignf(magnitude, sign); }
  __device__ static bool negative(float v) {
    std::int32_t bits;
    __builtin_memcpy(&bits, &v, sizeof v);
    return bits < 0;
  }
  __device__ static float round(float v) { return ::rintf(v); }
  __device__ static float exp2_int(float n) {
    const std::int32_t bits = (std::int32_t(n) + 127) << 23;
    float x;
    __builtin_memcpy(&x, &bits, sizeof x);
    return x;
  }
};
template <>
struct Ops<double> : Roots<double> {
  __device__ static double abs(double v) { return ::fabs(v); }
  __device__ static double copysign(double magnitude, double sign) { return ::copysign(magnitude, sign); }
  __device__ static bool negative(double v) {
    std::int64_t bits;
    __builtin_memcpy(&bits, &v, sizeof v);
    return bits < 0;
  }
  __device__ static double round(double v) { return ::rint(v); }
  __device__ static double exp2_int(double n) {
    const std::int64_t bits = (std::int64_t(n) + 1023) << 52;
    double x;
    __builtin_memcpy(&x, &bits, sizeof x);
    return x;
  }
};

}  // namespace nc1fast::math
