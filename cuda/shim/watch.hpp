// What the pretended devices have seen, and which of their calls is to fail: for tests, which reach it by name
// (watch.cpp).
#pragma once

#include <algorithm>
#include <cstdint>
#include <mutex>

namespace nc1fast::shim {

// Since `start`. Calls: those that a device may refuse.
struct Watch {
  std::mutex mutex;
  std::int64_t calls = 0, failing = 0;                                      // call number `failing` is refused; 0: none
  std::int64_t launches = 0, blocks = 0, most_shared = 0, most_pinned = 0;  // most_shared: of a block
  std::int64_t sent = 0, fetched = 0;                                       // bytes to devices, and from them
  std::int64_t pinned = 0, streams = 0, events = 0;                         // there now, whenever they were made

  bool refuses() {
    const std::lock_guard lock(mutex);
    return ++calls == failing;
  }
  void add(std::int64_t Watch::* what, std::int64_t n) {
    const std::lock_guard lock(mutex);
    this->*what += n;
  }
  void pin(std::int64_t bytes) {
    const std::lock_guard lock(mutex);
    pinned += bytes;
    most_pinned = std::max(most_pinned, pinned);
  }
  void launch(std::int64_t n_blocks, std::int64_t shared) {
    const std::lock_guard lock(mutex);
    ++launches;
    blocks += n_blocks;
    most_shared = std::max(most_shared, shared);
  }
};
inline Watch& watch() {
  static Watch of_all;
  return of_all;
}

}  // namespace nc1fast::shim
