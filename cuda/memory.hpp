// Devices as the host sees them: their memory, streams and errors.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace nc1fast::device {

// No driver, no such device, or a call that failed.
struct DeviceError : std::runtime_error {
  using std::runtime_error::runtime_error;
};
// Says how much was asked for and how much is free.
struct OutOfMemory : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Throws DeviceError.
void check(cudaError_t error, const char* what);

struct Info {
  std::string name;
  int major, minor, multiprocessors, threads;               // threads: that run at a time
  std::size_t shared_per_block, shared_per_multiprocessor;  // bytes
  std::size_t free, total;                                  // bytes of memory
};
int count();           // 0 without a driver
std::string reason();  // why there is none; empty where there is one
Info info(int device);

// The device that is current for the calling thread is so again afterwards.
class CurrentDevice {
 public:
  CurrentDevice();
  ~CurrentDevice();
  CurrentDevice(const CurrentDevice&) = delete;
  CurrentDevice& operator=(const CurrentDevice&) = delete;
  int get() const { return device_; }  // -1: none

 private:
  int device_ = -1;
};

// Bytes of a pinned buffer for transfers of so many at a time.
constexpr std::size_t piece_of(std::size_t most) {
  constexpr std::size_t least = std::size_t(64) << 10, limit = std::size_t(8) << 20;
  return std::clamp((most + least - 1) / least * least, least, limit);
}
inline constexpr std::size_t kGranularity = 256;  // bytes: memory of a device is had in multiples of this

// One device, current for the calling thread, with a stream of its own. Numbers go to it through two pinned buffers:
// one is filled while the other is on its way.
class Stream {
 public:
  // most: bytes of a usual transfer.
  Stream(int device, std::size_t most);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  int device() const { return device_; }
  cudaStream_t get() const { return stream_; }
  void enter() const;  // makes the device current for another thread
  void send(void* to, const void* from, std::size_t bytes);
  void fetch(void* to, const void* from, std::size_t bytes);  // complete on return
  void wait() const;

 private:
  struct Pinned {
    void* data = nullptr;
    cudaEvent_t sent = nullptr;
  };
  struct Bare {};
  Stream(int device, std::size_t most, Bare) : device_(device), piece_(piece_of(most)) {}

  int device_;
  std::size_t piece_;
  cudaStream_t stream_ = nullptr;
  Pinned pinned_[2];
  int at_ = 0;
};

void* allocate_zeroed(const Stream& stream, std::size_t bytes);  // throws OutOfMemory
void release(void* data);

// Memory of a device, zeroed.
template <class T>
class Array {
 public:
  Array() = default;
  Array(const Stream& stream, std::size_t n) : data_(static_cast<T*>(allocate_zeroed(stream, n * sizeof(T)))) {}
  Array(Stream& stream, const T* from, std::size_t n) : Array(stream, n) { stream.send(data_, from, n * sizeof(T)); }
  Array(Stream& stream, const std::vector<T>& from) : Array(stream, from.data(), from.size()) {}
  Array(Array&& other) noexcept : data_(std::exchange(other.data_, nullptr)) {}
  Array& operator=(Array&& other) noexcept {
    std::swap(data_, other.data_);
    return *this;
  }
  ~Array() { release(data_); }
  T* get() const { return data_; }

 private:
  T* data_ = nullptr;
};

}  // namespace nc1fast::device
