// Memory of a call, some of which a thread keeps for its next one.
#pragma once

#include <cstddef>
#include <utility>

namespace nc1fast {

// Memory aligned to a cache line.
struct MemoryBlock {
  void* data = nullptr;
  std::size_t bytes = 0;
};

// A block of at least so many bytes, uninitialised. Throws std::bad_alloc.
MemoryBlock take_memory(std::size_t bytes);
// Keeps it for the next call of this thread, which then has pages that the system need not give and clear again; of all
// that it keeps, the oldest make way.
void give_back(MemoryBlock block) noexcept;

inline constexpr std::size_t kLeastKept = std::size_t(64) << 10;  // bytes: smaller blocks malloc has at hand itself
inline constexpr std::size_t kMostKept = std::size_t(4) << 20;    // of all blocks of a thread

// n uninitialised numbers in a block.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t n) : block_(n ? take_memory(n * sizeof(T)) : MemoryBlock{}) {}
  Buffer(Buffer&& other) noexcept : block_(std::exchange(other.block_, {})) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { give_back(block_); }
  T* get() const { return static_cast<T*>(block_.data); }
  T& operator[](std::size_t i) const { return get()[i]; }

 private:
  MemoryBlock block_;
};

}  // namespace nc1fast
