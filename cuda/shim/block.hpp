// A block of CUDA threads on the host, with a barrier, shared memory and warps. For proofs, not for speed.
#pragma once

#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "shim/playing.hpp"

namespace nc1fast::shim {

inline constexpr int kLanes = 32;
inline constexpr std::size_t kExchange = 64;  // bytes that a lane shows to its warp

// The threads of a block. A grid is run by one team, block after block.
class Team {
 public:
  Team(int n_threads, std::size_t bytes) : all_(n_threads), memory_(bytes + 16) {
    for (int w = 0; w < n_threads / kLanes; ++w) warps_.push_back(std::make_unique<Warp>());
    if (const char* skip = std::getenv("NC1FAST_SHIM_SKIP_BARRIER")) skipped_ = std::atoi(skip);
  }
  // NC1FAST_SHIM_SKIP_BARRIER=k: barrier number k of every block does nothing, which a race detector has to notice.
  void barrier(int number) {
    if (number != skipped_) all_.arrive_and_wait();
  }
  void wait_for_all() { all_.arrive_and_wait(); }
  unsigned char* memory() {
    void* p = memory_.data();
    std::size_t space = memory_.size();
    return static_cast<unsigned char*>(std::align(16, 16, p, space));
  }

  struct Warp {
    Barrier meet{kLanes};
    unsigned char shown[kLanes][kExchange];
  };
  Warp& warp(int thread) { return *warps_[std::size_t(thread / kLanes)]; }

 private:
  Barrier all_;
  std::vector<unsigned char> memory_;
  std::vector<std::unique_ptr<Warp>> warps_;
  int skipped_ = -1;
};

// One CUDA thread.
struct Self {
  Team* team = nullptr;
  int thread = 0;
  std::int64_t block = 0;
  int barriers = 0;  // met in this block

  struct Copy {
    void* to;
    const void* from;
  };
  std::vector<Copy> copies;               // since the last commit
  std::vector<std::vector<Copy>> groups;  // committed, in flight
  void commit() { groups.push_back(std::exchange(copies, {})); }
  // As late as the device may: a copy that nobody waits for never arrives.
  void wait(int pending) {
    while (int(groups.size()) > pending) {
      for (const Copy& copy : groups.front()) std::memcpy(copy.to, copy.from, 16);
      groups.erase(groups.begin());
    }
  }
};

inline Self& self() { return *static_cast<Self*>(own); }

// Every lane of a warp shows a value; read(of, lane) sees that of any lane as of(lane).
template <class V, class Read>
auto exchange(const V& mine, const Read& read) {
  static_assert(sizeof(V) <= kExchange);
  const int lane = self().thread % kLanes;
  Team::Warp& warp = self().team->warp(self().thread);
  std::memcpy(warp.shown[lane], &mine, sizeof mine);
  warp.meet.arrive_and_wait();
  const auto of = [&](int l) {
    V v;
    std::memcpy(&v, warp.shown[l], sizeof v);
    return v;
  };
  const auto result = read(of, lane);
  warp.meet.arrive_and_wait();
  return result;
}

// body() by every thread of every block.
template <class Body>
void run_grid(std::int64_t n_blocks, int n_threads, std::size_t bytes, const Body& body) {
  Team team(n_threads, bytes);
  play(n_threads, [&](int thread) {
    Self mine{.team = &team, .thread = thread};
    own = &mine;
    for (; mine.block < n_blocks; ++mine.block) {
      mine.barriers = 0;
      body();
      mine.copies.clear();
      mine.groups.clear();
      team.wait_for_all();
    }
  });
}

}  // namespace nc1fast::shim
