// Who plays the threads of a block. Under a sanitizer a std::thread each, so that a race between CUDA threads is a race
// between threads. Else they take turns on the calling thread, each as far as its next barrier: a third to a tenth of
// the time, and most barriers that are missing show in the numbers, every time.
#pragma once

#include <pthread.h>
#include <ucontext.h>

#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace nc1fast::shim {

// What the part that runs has put here.
inline thread_local void* own = nullptr;

#ifndef __has_feature  // which is how clang says what gcc's macros say
#define __has_feature(name) 0
#endif

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__) || __has_feature(thread_sanitizer) || \
    __has_feature(address_sanitizer)

// Of POSIX: std::barrier waits through a pool that all barriers share, which makes a race detector take threads of
// different warps for synchronized.
class Barrier {
 public:
  explicit Barrier(int n) { pthread_barrier_init(&all_, nullptr, unsigned(n)); }
  ~Barrier() { pthread_barrier_destroy(&all_); }
  Barrier(const Barrier&) = delete;
  Barrier& operator=(const Barrier&) = delete;
  void arrive_and_wait() { pthread_barrier_wait(&all_); }

 private:
  pthread_barrier_t all_;
};

// part(0), ..., part(n - 1) side by side.
template <class Part>
void play(int n, const Part& part) {
  std::vector<std::thread> threads;
  for (int t = 0; t < n; ++t) threads.emplace_back([&part, t] { part(t); });
  for (std::thread& thread : threads) thread.join();
}

#else

class Turns {
  static constexpr std::size_t kStack = 256 * 1024;  // of which a part touches a few pages

 public:
  Turns(int n, const std::function<void(int)>& part)
      : part_(part), stacks_(new unsigned char[std::size_t(n) * kStack]), parts_(std::size_t(n)) {
    Turns* const before = std::exchange(now_, this);
    for (int t = 0; t < n; ++t) {
      ucontext_t& state = parts_[std::size_t(t)];
      getcontext(&state);
      state.uc_stack.ss_sp = stacks_.get() + std::size_t(t) * kStack;
      state.uc_stack.ss_size = kStack;
      makecontext(&state, &Turns::begin, 0);
    }
    for (unfinished_ = n; unfinished_ > 0;)
      for (turn_ = 0; turn_ < n; ++turn_) swapcontext(&caller_, &parts_[std::size_t(turn_)]);
    now_ = before;
  }

  // Lets the others have their turns.
  static void pass() {
    Turns& turns = *now_;
    void* const mine = own;
    swapcontext(&turns.parts_[std::size_t(turns.turn_)], &turns.caller_);
    own = mine;
  }

 private:
  static void begin() {
    Turns& turns = *now_;
    turns.part_(turns.turn_);
    --turns.unfinished_;
    for (;;) pass();
  }

  static inline thread_local Turns* now_ = nullptr;
  const std::function<void(int)>& part_;
  std::unique_ptr<unsigned char[]> stacks_;
  std::vector<ucontext_t> parts_;
  ucontext_t caller_{};
  int turn_ = 0, unfinished_ = 0;
};

class Barrier {
 public:
  explicit Barrier(int n) : n_(n) {}
  void arrive_and_wait() {
    if (++arrived_ == n_) {
      arrived_ = 0;
      ++round_;
      return;
    }
    for (const auto round = round_; round_ == round;) Turns::pass();
  }

 private:
  int n_, arrived_ = 0;
  unsigned round_ = 0;
};

// part(0), ..., part(n - 1), in turns.
template <class Part>
void play(int n, const Part& part) {
  Turns(n, part);
}

#endif

}  // namespace nc1fast::shim
