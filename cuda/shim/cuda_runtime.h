// The part of the CUDA runtime that this folder uses, on the host: device memory is memory of the process, copies are
// immediate, and a launch (device.hpp) returns when it is done. Two devices, so that work for several is tried too.
//   NC1FAST_SHIM_MEMORY    bytes of each device (default 256 MiB)
//   NC1FAST_SHIM_THREADS   that it runs at a time, with a stack each (default 0: their stacks are the host's)
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
#include <utility>

#include "watch.hpp"

#define __device__
#define __global__
#define __forceinline__ inline
#define __grid_constant__
#define __launch_bounds__(...)

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInvalidDevice = 101,
  cudaErrorUnknown = 999
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost };
enum cudaDeviceAttr {
  cudaDevAttrComputeCapabilityMajor,
  cudaDevAttrComputeCapabilityMinor,
  cudaDevAttrMultiProcessorCount,
  cudaDevAttrMaxSharedMemoryPerBlockOptin,
  cudaDevAttrMaxSharedMemoryPerMultiprocessor,
  cudaDevAttrMaxThreadsPerMultiProcessor
};
struct cudaDeviceProp {
  char name[256];
};
using cudaStream_t = struct ShimStream*;
using cudaEvent_t = struct ShimEvent*;
inline constexpr unsigned cudaStreamNonBlocking = 1, cudaEventDisableTiming = 2;

namespace nc1fast::shim {

inline constexpr int kDevices = 2;
inline constexpr std::size_t kPinnedHeader = 16;
inline thread_local int current = 0;
inline thread_local cudaError_t last_error = cudaSuccess;

inline cudaError_t told(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}
// Of a call that may be refused.
inline cudaError_t answer(cudaError_t refusal = cudaErrorUnknown) {
  return told(watch().refuses() ? refusal : cudaSuccess);
}

// Who has how much of which device: bytes in pieces of kGranularity, as devices give them.
struct Ledger {
  static constexpr std::size_t kGranularity = 256;
  std::mutex mutex;
  std::map<void*, std::pair<int, std::size_t>> taken;
  std::size_t used[kDevices] = {}, most[kDevices] = {};
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
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInvalidDevice:
      return "invalid device";
    default:
      return "refused";
  }
}
inline cudaError_t cudaGetLastError() { return std::exchange(nc1fast::shim::last_error, cudaSuccess); }
inline cudaError_t cudaGetDeviceCount(int* n) {
  *n = nc1fast::shim::kDevices;
  return cudaSuccess;
}
inline cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= nc1fast::shim::kDevices) return nc1fast::shim::told(cudaErrorInvalidDevice);
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
  const char* threads = std::getenv("NC1FAST_SHIM_THREADS");
  const int values[] = {9, 0, 1, 227 << 10, 228 << 10, threads ? std::atoi(threads) : 0};
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
  using namespace nc1fast::shim;
  if (answer(cudaErrorMemoryAllocation) != cudaSuccess) return cudaErrorMemoryAllocation;
  const std::lock_guard lock(ledger().mutex);
  const std::size_t whole = (bytes + Ledger::kGranularity - 1) / Ledger::kGranularity * Ledger::kGranularity;
  std::size_t &used = ledger().used[current], &most = ledger().most[current];
  if (used + whole > Ledger::total()) return told(cudaErrorMemoryAllocation);
  *data = std::aligned_alloc(256, whole);
  if (!*data) return told(cudaErrorMemoryAllocation);
  std::memset(*data, 0xff, bytes);  // NaN: memory that nobody has written to
  ledger().taken[*data] = {current, whole};
  used += whole;
  most = std::max(most, used);
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
  using namespace nc1fast::shim;
  if (answer(cudaErrorMemoryAllocation) != cudaSuccess) return cudaErrorMemoryAllocation;
  auto* const start = static_cast<std::size_t*>(std::malloc(bytes + kPinnedHeader));
  if (!start) return told(cudaErrorMemoryAllocation);
  *start = bytes;
  *data = reinterpret_cast<char*>(start) + kPinnedHeader;
  watch().pin(std::int64_t(bytes));
  return cudaSuccess;
}
inline cudaError_t cudaFreeHost(void* data) {
  using namespace nc1fast::shim;
  auto* const start = reinterpret_cast<std::size_t*>(static_cast<char*>(data) - kPinnedHeader);
  watch().pin(-std::int64_t(*start));
  std::free(start);
  return cudaSuccess;
}
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t) {
  using nc1fast::shim::Watch;
  if (const cudaError_t error = nc1fast::shim::answer(); error != cudaSuccess) return error;
  nc1fast::shim::watch().add(kind == cudaMemcpyHostToDevice ? &Watch::sent : &Watch::fetched, std::int64_t(bytes));
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}
inline cudaError_t cudaMemsetAsync(void* data, int value, std::size_t bytes, cudaStream_t) {
  if (const cudaError_t error = nc1fast::shim::answer(); error != cudaSuccess) return error;
  std::memset(data, value, bytes);
  return cudaSuccess;
}

// Streams and events are numbers that are not null.
inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  if (const cudaError_t error = nc1fast::shim::answer(); error != cudaSuccess) return error;
  nc1fast::shim::watch().add(&nc1fast::shim::Watch::streams, 1);
  *stream = reinterpret_cast<cudaStream_t>(std::uintptr_t(1));
  return cudaSuccess;
}
inline cudaError_t cudaStreamDestroy(cudaStream_t) {
  nc1fast::shim::watch().add(&nc1fast::shim::Watch::streams, -1);
  return cudaSuccess;
}
inline cudaError_t cudaStreamSynchronize(cudaStream_t) { return nc1fast::shim::answer(); }
inline cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  if (const cudaError_t error = nc1fast::shim::answer(); error != cudaSuccess) return error;
  nc1fast::shim::watch().add(&nc1fast::shim::Watch::events, 1);
  *event = reinterpret_cast<cudaEvent_t>(std::uintptr_t(1));
  return cudaSuccess;
}
inline cudaError_t cudaEventDestroy(cudaEvent_t) {
  nc1fast::shim::watch().add(&nc1fast::shim::Watch::events, -1);
  return cudaSuccess;
}
inline cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) { return nc1fast::shim::answer(); }
inline cudaError_t cudaEventSynchronize(cudaEvent_t) { return nc1fast::shim::answer(); }
