// Threads for one call: spawned, joined, gone. A kept pool would hang in a forked child.
#pragma once

#include <atomic>
#include <cfenv>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace nc1fast {

// work(worker, item) for every item of [0, n), each by one of n_threads workers (0: in the calling thread), in no fixed
// order and with the default rounding environment. The calling thread polls (done, n) about ten times a second and at
// the end; false stops after the items in hand. The first exception of a worker is rethrown. Returns false when
// stopped.
template <class Work, class Poll>
bool parallel_for(std::int64_t n, int n_threads, const Work& work, const Poll& poll) {
  std::atomic<std::int64_t> next{0}, done{0};
  std::atomic<bool> stop{false};
  std::mutex mutex;
  std::condition_variable finished;
  int running = 0;
  std::exception_ptr error;
  const auto run = [&](int worker) {
    std::fenv_t caller;
    std::fegetenv(&caller);
    std::fesetenv(FE_DFL_ENV);
    try {
      for (std::int64_t item; !stop && (item = next.fetch_add(1)) < n; ++done) work(worker, item);
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!error) error = std::current_exception();
      stop = true;
    }
    std::fesetenv(&caller);
  };
  if (n_threads > n) n_threads = int(n);
  if (n_threads <= 0) {
    run(0);
  } else {
    running = n_threads;
    std::vector<std::thread> workers;
    workers.reserve(std::size_t(n_threads));
    try {
      for (int w = 0; w < n_threads; ++w)
        workers.emplace_back([&, w] {
          run(w);
          const std::lock_guard lock(mutex);
          if (--running == 0) finished.notify_one();
        });
    } catch (const std::system_error&) {  // the system has no more threads to give: fewer do the work
      const std::lock_guard lock(mutex);
      running -= n_threads - int(workers.size());
    }
    if (workers.empty()) run(0);
    std::unique_lock lock(mutex);
    while (!finished.wait_for(lock, std::chrono::milliseconds(100), [&] { return running == 0; })) {
      lock.unlock();
      try {
        if (!poll(done.load(), n)) stop = true;
      } catch (...) {
        stop = true;
        lock.lock();
        if (!error) error = std::current_exception();
        continue;
      }
      lock.lock();
    }
    lock.unlock();
    for (std::thread& w : workers) w.join();
  }
  if (error) std::rethrow_exception(error);
  return done == n && poll(n, n);
}

template <class Work>
void parallel_for(std::int64_t n, int n_threads, const Work& work) {
  parallel_for(n, n_threads, work, [](std::int64_t, std::int64_t) { return true; });
}

}  // namespace nc1fast
