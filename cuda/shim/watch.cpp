// Watching from outside, by names of the library: for ctypes of a test.
#include "cuda_runtime.h"

using namespace nc1fast::shim;

extern "C" {

// Counts from zero, the most memory from what is in use; call number `failing` is refused, 0: none.
[[gnu::visibility("default")]] void nc1fast_shim_start(std::int64_t failing) {
  {
    const std::lock_guard lock(ledger().mutex);
    std::copy(std::begin(ledger().used), std::end(ledger().used), std::begin(ledger().most));
  }
  const std::lock_guard lock(watch().mutex);
  watch().calls = watch().launches = watch().blocks = watch().most_shared = watch().sent = watch().fetched = 0;
  watch().most_pinned = watch().pinned;
  watch().failing = failing;
}

// Calls, launches, blocks, most shared memory of a block; now: bytes of devices and of pinned memory, streams, events;
// the most bytes of either device, and of pinned memory; bytes sent and fetched.
[[gnu::visibility("default")]] void nc1fast_shim_seen(std::int64_t* out) {
  std::int64_t used = 0, most[kDevices];
  {
    const std::lock_guard lock(ledger().mutex);
    for (int d = 0; d < kDevices; ++d) {
      used += std::int64_t(ledger().used[d]);
      most[d] = std::int64_t(ledger().most[d]);
    }
  }
  const std::lock_guard lock(watch().mutex);
  const Watch& w = watch();
  for (const std::int64_t n : {w.calls, w.launches, w.blocks, w.most_shared, used, w.pinned, w.streams, w.events,
                               most[0], most[1], w.most_pinned, w.sent, w.fetched})
    *out++ = n;
}

// Of the calling thread.
[[gnu::visibility("default")]] void nc1fast_shim_use(int device) { current = device; }
[[gnu::visibility("default")]] int nc1fast_shim_last_error() { return last_error; }
}
