// The fused multiply-add peak and the core clock of the machine this is compiled and run on.
//
//   fma_peak THREADS  ->  one line of JSON: GFLOP/s of float and double on 1 and on THREADS threads, and GHz
//
// A peak is independent chains of vector FMAs in registers: no memory, no dependency that the core must wait for.
// The clock is a chain of dependent 64-bit adds, one cycle each, timed right after FMA work on as many threads.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

namespace {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif
constexpr int kChains = 12;         // >= latency (4..5) x FMAs issued per cycle (2), and they fit the registers
constexpr int kBest = 9;            // runs, of which the best counts: interruptions only slow a run down
constexpr double kRunSeconds = 0.04;

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// `sink` keeps the compiler from removing the work.
template <class T>
double fma_work(std::int64_t rounds, T factor, T addend) {
  typedef T Vector __attribute__((vector_size(kVectorBytes)));
  Vector x = factor - Vector{}, y = addend - Vector{};
  Vector acc[kChains];
  for (int k = 0; k < kChains; ++k) acc[k] = y * static_cast<T>(k);
  for (std::int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
    for (int k = 0; k < kChains; ++k) acc[k] = acc[k] * x + y;
  }
  Vector sum{};
  for (int k = 0; k < kChains; ++k) sum += acc[k];
  double sink = 0;
  for (unsigned lane = 0; lane < kVectorBytes / sizeof(T); ++lane) sink += static_cast<double>(sum[lane]);
  return sink;
}

double add_chain(std::int64_t rounds, std::int64_t step) {
  std::int64_t sum = 0;
  for (std::int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 64
    for (int k = 0; k < 64; ++k) {
      sum += step;
      asm volatile("" : "+r"(sum));  // one add per step: neither folded into a product nor vectorised
    }
  }
  return static_cast<double>(sum);
}

// Wall seconds of work() on n threads that start together.
template <class Work>
double timed(int n_threads, Work work) {
  std::atomic<int> ready{0};
  std::vector<double> sinks(static_cast<std::size_t>(n_threads)), ends(static_cast<std::size_t>(n_threads));
  std::vector<Clock::time_point> starts(static_cast<std::size_t>(n_threads));
  std::vector<std::thread> threads;
  for (int id = 0; id < n_threads; ++id) {
    threads.emplace_back([&, id] {
      ready.fetch_add(1);
      while (ready.load() < n_threads) {
      }
      const auto start = Clock::now();
      sinks[static_cast<std::size_t>(id)] = work();
      ends[static_cast<std::size_t>(id)] = seconds_since(start);
    });
  }
  for (auto& thread : threads) thread.join();
  volatile double sink = 0;
  for (double value : sinks) sink = sink + value;
  return *std::max_element(ends.begin(), ends.end());
}

template <class T>
double gflops(int n_threads) {
  volatile T factor = static_cast<T>(0.9999), addend = static_cast<T>(1e-3);
  std::int64_t rounds = 1 << 16;
  while (timed(1, [&] { return fma_work<T>(rounds, factor, addend); }) < kRunSeconds) rounds *= 2;
  double best = 0;
  for (int run = 0; run < kBest; ++run) {
    const double seconds = timed(n_threads, [&] { return fma_work<T>(rounds, factor, addend); });
    const double flops = 2.0 * static_cast<double>(rounds) * kChains * (kVectorBytes / sizeof(T)) * n_threads;
    best = std::max(best, flops / seconds * 1e-9);
  }
  return best;
}

double gigahertz(int n_threads) {
  volatile std::int64_t step = 1;
  const std::int64_t rounds = 1 << 20;  // 6.7e7 cycles, about 20 ms
  double best = 0;
  for (int run = 0; run < kBest; ++run) {
    const double seconds = timed(n_threads, [&] { return add_chain(rounds, step); });
    best = std::max(best, 64.0 * static_cast<double>(rounds) / seconds * 1e-9);
  }
  return best;
}

}  // namespace

int main(int argc, char** argv) {
  const int n_threads = argc > 1 ? std::atoi(argv[1]) : 2;
  if (n_threads < 1 || n_threads > 1024) {
    std::fprintf(stderr, "usage: fma_peak THREADS (1..1024)\n");
    return 2;
  }
  const double f32_one = gflops<float>(1), f32_all = gflops<float>(n_threads);
  const double f64_one = gflops<double>(1), f64_all = gflops<double>(n_threads);
  const double clock = gigahertz(n_threads);
  std::printf(
      "{\"threads\": %d, \"vector_bytes\": %d, \"ghz\": %.4f, "
      "\"gflops_one_thread\": {\"float32\": %.2f, \"float64\": %.2f}, "
      "\"gflops\": {\"float32\": %.2f, \"float64\": %.2f}}\n",
      n_threads, kVectorBytes, clock, f32_one, f64_one, f32_all, f64_all);
  return 0;
}
