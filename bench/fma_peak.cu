// The multiply-add peak of the CUDA device that this runs on.
//
//   fma_peak  ->  one line of JSON: GFLOP/s of FFMA, DFMA, and DMMA (0 before compute capability 8.0)
//
// A peak is independent chains in registers, from as many warps as the schedulers need; the best of several runs.
// CuPy compiles the kernels alone (NC1FAST_KERNELS_ONLY).

constexpr int kChains = 16, kUnrolled = 8;

template <class T>
__device__ void chains(T* out, int rounds, T factor, T addend) {
  T acc[kChains];
#pragma unroll
  for (int k = 0; k < kChains; ++k) acc[k] = addend * T(threadIdx.x + k);
  for (int r = 0; r < rounds; ++r)
#pragma unroll
    for (int u = 0; u < kUnrolled; ++u)
#pragma unroll
      for (int k = 0; k < kChains; ++k) acc[k] = acc[k] * factor + addend;
  T sum = 0;
#pragma unroll
  for (int k = 0; k < kChains; ++k) sum += acc[k];
  if (sum == T(12345)) *out = sum;  // never: keeps the work
}

extern "C" __global__ void ffma_peak(float* out, int rounds, float factor, float addend) {
  chains(out, rounds, factor, addend);
}
extern "C" __global__ void dfma_peak(double* out, int rounds, double factor, double addend) {
  chains(out, rounds, factor, addend);
}

// 1024 multiply-adds of a warp in each of 8 chains, 8 times a round.
extern "C" __global__ void dmma_peak(double* out, int rounds, double factor, double addend) {
  double acc[8][4] = {};
  const double a = factor + threadIdx.x, b = addend;
  for (int r = 0; r < rounds; ++r)
#pragma unroll
    for (int u = 0; u < kUnrolled; ++u)
#pragma unroll
      for (int k = 0; k < 8; ++k) {
        double (&c)[4] = acc[k];
#if __CUDA_ARCH__ >= 900
        asm volatile(
            "mma.sync.aligned.m16n8k8.row.col.f64.f64.f64.f64 {%0,%1,%2,%3}, {%4,%4,%4,%4}, {%5,%5}, {%0,%1,%2,%3};"
            : "+d"(c[0]), "+d"(c[1]), "+d"(c[2]), "+d"(c[3])
            : "d"(a), "d"(b));
#elif __CUDA_ARCH__ >= 800
#pragma unroll
        for (int part = 0; part < 4; ++part)
          asm volatile("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0,%1}, {%2}, {%3}, {%0,%1};"
                       : "+d"(c[part % 2 * 2]), "+d"(c[part % 2 * 2 + 1])
                       : "d"(a), "d"(b));
#endif
      }
  double sum = 0;
  for (int k = 0; k < 8; ++k) sum += acc[k][0] + acc[k][1] + acc[k][2] + acc[k][3];
  if (sum == 12345) *out = sum;
}

#if !defined(NC1FAST_KERNELS_ONLY)

#include <cstdio>
#include <cstdlib>

namespace {

constexpr int kThreads = 256, kBlocksPerMultiprocessor = 8, kRuns = 7;

void require(cudaError_t error) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "%s\n", cudaGetErrorString(error));
  std::exit(1);
}

// `per_round`: multiply-adds of one thread in one round.
template <class T>
double gflops(void (*kernel)(T*, int, T, T), int blocks, double per_round) {
  T* out = nullptr;
  cudaEvent_t start{}, stop{};
  require(cudaMalloc(&out, sizeof(T)));
  require(cudaEventCreate(&start));
  require(cudaEventCreate(&stop));
  double best = 0;
  float ms = 0;
  int rounds = 64;
  for (int run = 0; run < kRuns;) {
    require(cudaEventRecord(start));
    kernel<<<blocks, kThreads>>>(out, rounds, T(0.9999), T(1e-3));
    require(cudaGetLastError());
    require(cudaEventRecord(stop));
    require(cudaEventSynchronize(stop));
    require(cudaEventElapsedTime(&ms, start, stop));
    if (ms < 20 && rounds < 1 << 24) {  // too short to count
      rounds *= 2;
      continue;
    }
    const double flops = 2 * per_round * rounds * kThreads * blocks;
    best = flops / ms * 1e-6 > best ? flops / ms * 1e-6 : best;
    ++run;
  }
  require(cudaFree(out));
  return best;
}

}  // namespace

int main() {
  cudaDeviceProp device{};
  require(cudaGetDeviceProperties(&device, 0));
  const int blocks = device.multiProcessorCount * kBlocksPerMultiprocessor;
  const double each = kChains * kUnrolled;
  std::printf("{\"ffma\": %.1f, \"dfma\": %.1f, \"dmma\": %.1f}\n", gflops(&ffma_peak, blocks, each),
              gflops(&dfma_peak, blocks, each),
              device.major < 8 ? 0.0 : gflops(&dmma_peak, blocks, 8 * kUnrolled * 1024 / 32.0));
  return 0;
}

#endif
