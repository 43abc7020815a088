// One number as a lane, on a device.
#pragma once

#include "device.hpp"
#include "nc1fast/math.hpp"

namespace nc1fast::math {

// sqrt(w) and 1/sqrt(w), w > 0, to about 1 ulp: an estimate and one Newton step.
template <class T>
struct Roots {
  __device__ static T sqrt(T w) {
    const T y = device::rsqrt_estimate(w), s = w * y;
    return s + T(0.5) * y * (w - s * s);
  }
  __device__ static T rsqrt(T w) {
    const T y = device::rsqrt_estimate(w);
    return y + T(0.5) * y * (T(1) - w * y * y);
  }
};

template <>
struct Ops<float> : Roots<float> {
  __device__ static float abs(float v) { return ::fabsf(v); }
  __device__ static float copysign(float magnitude, float sign) { return ::copysignf(magnitude, sign); }
  __device__ static float round(float v) { return ::rintf(v); }
  __device__ static float exp2_int(float n) {
    const std::int32_t bits = (std::int32_t(n) + 127) << 23;
    return load<float>(reinterpret_cast<const float*>(&bits));
  }
};
template <>
struct Ops<double> : Roots<double> {
  __device__ static double abs(double v) { return ::fabs(v); }
  __device__ static double copysign(double magnitude, double sign) { return ::copysign(magnitude, sign); }
  __device__ static double round(double v) { return ::rint(v); }
  __device__ static double exp2_int(double n) {
    const std::int64_t bits = (std::int64_t(n) + 1023) << 52;
    return load<double>(reinterpret_cast<const double*>(&bits));
  }
};

}  // namespace nc1fast::math
