#include "buffer.hpp"

#include <algorithm>
#include <array>
#include <new>

#include "system.hpp"

namespace nc1fast {
namespace {

constexpr std::align_val_t kLine{64};

void release(MemoryBlock block) noexcept { ::operator delete(block.data, kLine); }

// The blocks that a thread keeps, the oldest first.
class Kept {
 public:
  Kept() = default;
  Kept(const Kept&) = delete;
  Kept& operator=(const Kept&) = delete;
  ~Kept() {
    while (n_ > 0) release(remove(0));
  }

  // One that has room for so many bytes and is not much larger; without data where there is none.
  MemoryBlock take(std::size_t bytes) noexcept {
    for (int k = n_; k-- > 0;)
      if (blocks_[std::size_t(k)].bytes / 2 <= bytes && bytes <= blocks_[std::size_t(k)].bytes) return remove(k);
    return {};
  }

  void add(MemoryBlock block) noexcept {
    while (n_ == int(blocks_.size()) || bytes_ + block.bytes > kMostKept) release(remove(0));
    blocks_[std::size_t(n_++)] = block;
    bytes_ += block.bytes;
  }

 private:
  MemoryBlock remove(int k) noexcept {
    const auto at = blocks_.begin() + k;
    const MemoryBlock block = *at;
    std::copy(at + 1, blocks_.begin() + n_--, at);
    bytes_ -= block.bytes;
    return block;
  }

  std::array<MemoryBlock, 8> blocks_;
  int n_ = 0;
  std::size_t bytes_ = 0;
};

thread_local Kept kept;

}  // namespace

MemoryBlock take_memory(std::size_t bytes) {
  if (bytes >= kLeastKept)
    if (const MemoryBlock block = kept.take(bytes); block.data) return block;
  const MemoryBlock block{::operator new(bytes, kLine), bytes};
  system::prefer_large_pages(block.data, block.bytes);
  return block;
}

void give_back(MemoryBlock block) noexcept {
  if (block.bytes < kLeastKept || block.bytes > kMostKept) return release(block);
  kept.add(block);
}

}  // namespace nc1fast
