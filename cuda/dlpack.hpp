// The structures of DLPack (https://dmlc.github.io/dlpack), by which array libraries lend each other memory, as far as
// capsules named "dltensor" have them.
#pragma once

#include <cstdint>

namespace nc1fast::device::dlpack {

enum : std::int32_t { kCuda = 2, kCudaManaged = 13 };  // types of devices
enum : std::uint8_t { kFloat = 2 };                    // kinds of numbers

struct Tensor {
  void* data;
  std::int32_t device_type, device_id;
  std::int32_t ndim;
  std::uint8_t code, bits;
  std::uint16_t lanes;
  std::int64_t *shape, *strides;  // strides in numbers; null: row-major
  std::uint64_t byte_offset;
};

struct ManagedTensor {
  Tensor tensor;
  void* context;
  void (*deleter)(ManagedTensor*);
};

}  // namespace nc1fast::device::dlpack
