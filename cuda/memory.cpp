#include "memory.hpp"

#include <algorithm>
#include <cstring>

namespace nc1fast::device {

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // nobody else's
  throw DeviceError(std::string(what) + ": " + cudaGetErrorString(error));
}

namespace {

// Where there is nobody to tell.
void ignore(cudaError_t error) {
  if (error != cudaSuccess) cudaGetLastError();
}

}  // namespace

int count() {
  int n = 0;
  const cudaError_t error = cudaGetDeviceCount(&n);
  ignore(error);
  return error == cudaSuccess ? n : 0;
}

std::string reason() {
  int n = 0;
  const cudaError_t error = cudaGetDeviceCount(&n);
  ignore(error);
  if (error != cudaSuccess) return cudaGetErrorString(error);
  return n > 0 ? "" : "no device";
}

Info info(int device) {
  const auto attribute = [device](cudaDeviceAttr which) {
    int value = 0;
    check(cudaDeviceGetAttribute(&value, which, device), "a device cannot be asked");
    return value;
  };
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, device), "a device cannot be asked");
  Info info{properties.name,
            attribute(cudaDevAttrComputeCapabilityMajor),
            attribute(cudaDevAttrComputeCapabilityMinor),
            attribute(cudaDevAttrMultiProcessorCount),
            attribute(cudaDevAttrMultiProcessorCount) * attribute(cudaDevAttrMaxThreadsPerMultiProcessor),
            std::size_t(attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin)),
            std::size_t(attribute(cudaDevAttrMaxSharedMemoryPerMultiprocessor)),
            0,
            0};
  check(cudaSetDevice(device), "a device cannot be used");
  check(cudaMemGetInfo(&info.free, &info.total), "a device cannot be asked for its memory");
  return info;
}

CurrentDevice::CurrentDevice() {
  const cudaError_t error = cudaGetDevice(&device_);
  ignore(error);
  if (error != cudaSuccess) device_ = -1;
}

CurrentDevice::~CurrentDevice() {
  int now = -1;
  if (device_ >= 0 && cudaGetDevice(&now) == cudaSuccess && now != device_) ignore(cudaSetDevice(device_));
}

Stream::Stream(int device, std::size_t most) : Stream(device, most, Bare{}) {
  enter();  // from here on the destructor runs, whatever fails
  check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "a stream cannot be made");
  for (Pinned& pinned : pinned_) {
    check(cudaMallocHost(&pinned.data, piece_), "pinned memory cannot be had");
    check(cudaEventCreateWithFlags(&pinned.sent, cudaEventDisableTiming), "an event cannot be made");
  }
}

Stream::~Stream() {
  ignore(cudaSetDevice(device_));
  if (stream_) ignore(cudaStreamSynchronize(stream_));
  for (Pinned& pinned : pinned_) {
    if (pinned.sent) ignore(cudaEventDestroy(pinned.sent));
    if (pinned.data) ignore(cudaFreeHost(pinned.data));
  }
  if (stream_) ignore(cudaStreamDestroy(stream_));
}

void Stream::enter() const { check(cudaSetDevice(device_), "a device cannot be used"); }

void Stream::send(void* to, const void* from, std::size_t bytes) {
  for (std::size_t done = 0; done < bytes; done += piece_, at_ ^= 1) {
    const std::size_t piece = std::min(piece_, bytes - done);
    check(cudaEventSynchronize(pinned_[at_].sent), "rows cannot be sent");
    std::memcpy(pinned_[at_].data, static_cast<const char*>(from) + done, piece);
    check(cudaMemcpyAsync(static_cast<char*>(to) + done, pinned_[at_].data, piece, cudaMemcpyHostToDevice, stream_),
          "rows cannot be sent");
    check(cudaEventRecord(pinned_[at_].sent, stream_), "rows cannot be sent");
  }
}

void Stream::fetch(void* to, const void* from, std::size_t bytes) {
  const auto bring = [&](std::size_t done) {
    const std::size_t piece = std::min(piece_, bytes - done);
    check(cudaMemcpyAsync(pinned_[at_].data, static_cast<const char*>(from) + done, piece, cudaMemcpyDeviceToHost,
                          stream_),
          "results cannot be fetched");
    check(cudaEventRecord(pinned_[at_].sent, stream_), "results cannot be fetched");
  };
  wait();
  if (bytes > 0) bring(0);
  for (std::size_t done = 0; done < bytes; done += piece_) {
    const Pinned& here = pinned_[at_];
    at_ ^= 1;
    if (done + piece_ < bytes) bring(done + piece_);
    check(cudaEventSynchronize(here.sent), "results cannot be fetched");
    std::memcpy(static_cast<char*>(to) + done, here.data, std::min(piece_, bytes - done));
  }
}

void Stream::wait() const { check(cudaStreamSynchronize(stream_), "the device has failed"); }

void* allocate_zeroed(const Stream& stream, std::size_t bytes) {
  if (bytes == 0) return nullptr;
  void* data = nullptr;
  const cudaError_t error = cudaMalloc(&data, bytes);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    std::size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "a device cannot be asked for its memory");
    throw OutOfMemory("cuda:" + std::to_string(stream.device()) + " has " + std::to_string(free) + " bytes free of " +
                      std::to_string(total) + ", and " + std::to_string(bytes) + " more are needed");
  }
  check(error, "memory cannot be had");
  const cudaError_t cleared = cudaMemsetAsync(data, 0, bytes, stream.get());
  if (cleared != cudaSuccess) release(data);
  check(cleared, "memory cannot be cleared");
  return data;
}

void release(void* data) {
  if (data) ignore(cudaFree(data));
}

}  // namespace nc1fast::device
