// The part of the CUDA runtime that this folder uses, on the host: device memory is memory of the process, copies are
// immediate, and a launch (device.hpp) returns when it is done. Two devices, so that work for several is tried too.
//   NC1FAST_SHIM_MEMORY   bytes of each device (default 256 MiB)
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#define __device__
#define __global__
#define __forceinline__ inline
#define __grid_constant__
#define __launch_bounds__(...)

enum cudaError_t { cudaSuccess = 0, cudaErrorMemoryAllocation = 2, cudaErrorInvalidDevice = 101 };
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost };
enum cudaDeviceAttr {
  cudaDevAttrComputeCapabilityMajor,
  cudaDevAttrComputeCapabilityMinor,
  cudaDevAttrMultiProcessorCount,
  cudaDevAttrMaxSharedMemoryPerBlockOptin,
  cudaDevAttrMaxSharedMemoryPerMultiprocessor
};
struct cudaDeviceProp {
  char name[256];
};
using cudaStream_t = struct ShimStream*;
using cudaEvent_t = struct ShimEvent*;
inline constexpr unsigned cudaStreamNonBlocking = 1, cudaEventDisableTiming = 2;

namespace nc1fast::shim {

inline constexpr int kDevices = 2;
inline thread_local int current = 0;

// Who has how much of which device.
struct Ledger {
  std::mutex mutex;
  std::map<void*, std::pair<int, std::size_t>> taken;
  std::size_t used[kDevices] = {};
  static std::size_t total() {
    const char* bytes = std::getenv("NC1FAST_SHIM_MEMORY");
    return bytes ? std::size_t(std::atoll(bytes)) : std::size_t(256) << 20;
  }
};
inline Ledger& ledger() {
  static Ledger of_all;
  return of_all;
}

}  // namespace nc1fast::shim

inline const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorMemoryAllocation ? "out of memory" : error == cudaSuccess ? "no error" : "invalid device";
}
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline cudaError_t cudaGetDeviceCount(int* n) {
  *n = nc1fast::shim::kDevices;
  return cudaSuccess;
}
inline cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= nc1fast::shim::kDevices) return cudaErrorInvalidDevice;
  nc1fast::shim::current = device;
  return cudaSuccess;
}
inline cudaError_t cudaGetDevice(int* device) {
  *device = nc1fast::shim::current;
  return cudaSuccess;
}
inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  std::strcpy(properties->name, "host threads");
  return cudaSuccess;
}
inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr which, int) {
  constexpr int values[] = {9, 0, 1, 227 << 10, 228 << 10};
  *value = values[which];
  return cudaSuccess;
}
inline cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  auto& ledger = nc1fast::shim::ledger();
  const std::lock_guard lock(ledger.mutex);
  *total = ledger.total();
  *free = *total - std::min(*total, ledger.used[nc1fast::shim::current]);
  return cudaSuccess;
}
inline cudaError_t cudaMalloc(void** data, std::size_t bytes) {
  auto& ledger = nc1fast::shim::ledger();
  const std::lock_guard lock(ledger.mutex);
  const int device = nc1fast::shim::current;
  if (ledger.used[device] + bytes > ledger.total()) return cudaErrorMemoryAllocation;
  *data = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  if (!*data) return cudaErrorMemoryAllocation;
  std::memset(*data, 0xff, bytes);  // NaN: memory that nobody has written to
  ledger.taken[*data] = {device, bytes};
  ledger.used[device] += bytes;
  return cudaSuccess;
}
inline cudaError_t cudaFree(void* data) {
  auto& ledger = nc1fast::shim::ledger();
  const std::lock_guard lock(ledger.mutex);
  const auto found = ledger.taken.find(data);
  if (found == ledger.taken.end()) std::abort();  // not memory of a device
  ledger.used[found->second.first] -= found->second.second;
  ledger.taken.erase(found);
  std::free(data);
  return cudaSuccess;
}
inline cudaError_t cudaMallocHost(void** data, std::size_t bytes) {
  *data = std::malloc(bytes);
  return *data ? cudaSuccess : cudaErrorMemoryAllocation;
}
inline cudaError_t cudaFreeHost(void* data) {
  std::free(data);
  return cudaSuccess;
}
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind, cudaStream_t) {
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}
inline cudaError_t cudaMemsetAsync(void* data, int value, std::size_t bytes, cudaStream_t) {
  std::memset(data, value, bytes);
  return cudaSuccess;
}
inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = nullptr;
  return cudaSuccess;
}
inline cudaError_t cudaStreamDestroy(cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = nullptr;
  return cudaSuccess;
}
inline cudaError_t cudaEventDestroy(cudaEvent_t) { return cudaSuccess; }
inline cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
