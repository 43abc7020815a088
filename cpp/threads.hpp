// Threads for one call: spawned, joined, gone. A kept pool would hang in a forked child.
#pragma once

#include <atomic>
#include <cfenv>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace nc1fast {

// The threads of a call, the calling one and others, which do one loop after another. Those start with the first loop
// that needs them.
class Team {
 public:
  explicit Team(int n_threads) : n_threads_(n_threads) {}  // 0 or 1: the calling thread alone
  ~Team() {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int n_workers() const { return n_threads_ > 1 ? n_threads_ : 1; }

  // work(worker, item) for every item of [0, n), each by one of the workers, in no fixed order and with the default
  // rounding environment. The calling thread, worker 0, polls (done, n) about ten times a second, between its items,
  // and at the end; false stops after the items in hand. The first exception of a worker is rethrown. Returns false
  // when stopped.
  template <class Work, class Poll>
  bool run(std::int64_t n, const Work& work, const Poll& poll) {
    std::atomic<std::int64_t> next{0}, done{0};
    std::atomic<bool> stop{false};
    std::exception_ptr error;
    const auto guarded = [&](const auto& act) {
      try {
        act();
      } catch (...) {
        const std::lock_guard lock(mutex_);
        if (!error) error = std::current_exception();
        stop = true;
      }
    };
    const auto one = [&](int worker) {
      const std::int64_t item = stop ? n : next.fetch_add(1);
      if (item >= n) return false;
      work(worker, item);
      ++done;
      return true;
    };
    const std::function<void(int)> share = [&](int worker) {
      guarded([&] {
        while (one(worker)) continue;
      });
    };
    const bool shared = n > 1 && spawn(int(n < n_threads_ ? n : n_threads_) - 1);
    if (shared) open(share);
    const auto polled = [&] {
      if (!poll(done.load(), n)) stop = true;
    };
    std::fenv_t caller;  // its environment, which `polled` has
    std::fegetenv(&caller);
    std::fesetenv(FE_DFL_ENV);
    guarded([&] {
      for (auto last = Clock::now(); one(0);)
        if (const auto now = Clock::now(); now - last >= kPause) {
          last = now;
          std::fesetenv(&caller);
          polled();
          std::fesetenv(FE_DFL_ENV);
        }
    });
    std::fesetenv(&caller);
    if (shared) close();
    while (shared && !left_within(kPause)) guarded(polled);
    if (error) std::rethrow_exception(error);
    return done == n && poll(n, n);
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds kPause{100};  // between two polls
  static constexpr std::chrono::microseconds kWaking{50};

  // At least n threads beside the calling one, or as many as the system has to give; whether there are any.
  bool spawn(int n) {
    try {
      while (int(threads_.size()) < n)
        threads_.emplace_back([this, worker = int(threads_.size()) + 1] { serve(worker); });
    } catch (const std::system_error&) {
      n_threads_ = int(threads_.size()) + 1;
    }
    return !threads_.empty();
  }

  // One thread: its part of every loop that is still open when it comes.
  void serve(int worker) {
    std::fesetenv(FE_DFL_ENV);
    for (std::int64_t seen = 0;;) {
      const auto called = [&] { return ended_ || round_ != seen; };
      soon(called);
      std::unique_lock lock(mutex_);
      changed_.wait(lock, called);
      if (ended_) return;
      seen = round_;
      if (share_ == nullptr) continue;
      const std::function<void(int)>& share = *share_;
      ++inside_;
      lock.unlock();
      share(worker);
      lock.lock();
      if (--inside_ == 0) left_.notify_one();
    }
  }

  void open(const std::function<void(int)>& share) {
    {
      const std::lock_guard lock(mutex_);
      share_ = &share;
      ++round_;
    }
    changed_.notify_all();
  }

  // Nobody waits for a thread that has not come by now.
  void close() {
    const std::lock_guard lock(mutex_);
    share_ = nullptr;
  }

  bool left_within(std::chrono::milliseconds time) {
    const auto left = [&] { return inside_ == 0; };
    soon(left);
    std::unique_lock lock(mutex_);
    return left_.wait_for(lock, time, left);
  }

  // Returns when it is so, or after about the time that a sleeping thread takes to wake: loops are short and follow
  // each other at once.
  template <class Ready>
  static void soon(const Ready& ready) {
    for (const auto end = Clock::now() + kWaking; !ready() && Clock::now() < end;) std::this_thread::yield();
  }

  int n_threads_;
  std::vector<std::thread> threads_;
  std::mutex mutex_;  // of all below, which `soon` alone reads without it, and of the first exception
  std::condition_variable changed_, left_;
  const std::function<void(int)>* share_ = nullptr;  // of the loop that is open
  std::atomic<std::int64_t> round_ = 0;              // how many loops have been opened
  std::atomic<int> inside_ = 0;
  std::atomic<bool> ended_ = false;
};

// One loop by threads of its own.
template <class Work, class Poll>
bool parallel_for(std::int64_t n, int n_threads, const Work& work, const Poll& poll) {
  return Team(n_threads).run(n, work, poll);
}

template <class Work>
void parallel_for(std::int64_t n, int n_threads, const Work& work) {
  parallel_for(n, n_threads, work, [](std::int64_t, std::int64_t) { return true; });
}

}  // namespace nc1fast
