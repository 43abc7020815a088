// What only a device has: threads of a block, their barrier and shared memory, shuffles, atomics, asynchronous copies,
// tensor cores. Every other file of this folder is written in these words; without nvcc they are played by one
// std::thread per CUDA thread (shim/), so that the same sources run, slowly, on any machine.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

#if !defined(__CUDACC__)
#include "shim/block.hpp"
#endif

namespace nc1fast::device {

inline constexpr int kThreads = 64;  // of every block
inline constexpr int kWarp = 32;
// Blocks of float kernels that are to share a multiprocessor: on sm_120 as many as it has shared memory for.
inline constexpr int kFloatBlocks =
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 1200
    5;
#else
    8;
#endif

#if defined(__CUDACC__)

__device__ __forceinline__ int thread() { return int(threadIdx.x); }
__device__ __forceinline__ std::int64_t block() { return blockIdx.x; }
__device__ __forceinline__ void barrier() { __syncthreads(); }

template <class T>
__device__ __forceinline__ T* shared_memory() {
  extern __shared__ __align__(16) unsigned char memory[];
  return reinterpret_cast<T*>(memory);
}

// The value of the lane whose number differs by `mask`.
__device__ __forceinline__ double shuffle_xor(double x, int mask) { return __shfl_xor_sync(0xffffffffu, x, mask); }

// Returns the old value.
__device__ __forceinline__ std::uint64_t atomic_add(std::uint64_t* to, std::uint64_t x) {
  return atomicAdd(reinterpret_cast<unsigned long long*>(to), static_cast<unsigned long long>(x));
}
__device__ __forceinline__ void atomic_set(int* to) { atomicExch(to, 1); }

// 16 bytes from global to shared memory; in flight until copies_done. Before sm_80: at once, through registers.
__device__ __forceinline__ void copy_async(void* to, const void* from) {
#if __CUDA_ARCH__ >= 800
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(to));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(address), "l"(from) : "memory");
#else
  *static_cast<int4*>(to) = *static_cast<const int4*>(from);
#endif
}
__device__ __forceinline__ void commit_copies() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
// All but the last `Pending` groups of this thread's copies have arrived; a barrier then tells the others.
template <int Pending>
__device__ __forceinline__ void copies_done() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(Pending) : "memory");
#endif
}

// 1/sqrt(w) to 22 bits (float) or 19 (double), w > 0 and normal: without the branches that other w need.
__device__ __forceinline__ float rsqrt_estimate(float w) {
  float y;
  asm("rsqrt.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(w));
  return y;
}
__device__ __forceinline__ double rsqrt_estimate(double w) {
  double y;
  asm("rsqrt.approx.ftz.f64 %0, %1;" : "=d"(y) : "d"(w));
  return y;
}

// c (16, 8) += a (16, 8) b (8, 8), by the 32 lanes of a warp. Lane 4 g + t holds
//   a: (g, t), (g + 8, t), (g, t + 4), (g + 8, t + 4);   b: (t, g), (t + 4, g);   c: (g, 2t), (g, 2t + 1), and g + 8.
// sm_90 has the instruction; sm_80 has m8n8k4, whose operands are the quarters of these.
inline constexpr bool kTensor =
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
    false;
#else
    true;
#endif
__device__ __forceinline__ void multiply_add(double (&c)[4], const double (&a)[4], const double (&b)[2]) {
#if __CUDA_ARCH__ >= 900
  asm("mma.sync.aligned.m16n8k8.row.col.f64.f64.f64.f64 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+d"(c[0]), "+d"(c[1]), "+d"(c[2]), "+d"(c[3])
      : "d"(a[0]), "d"(a[1]), "d"(a[2]), "d"(a[3]), "d"(b[0]), "d"(b[1]));
#elif __CUDA_ARCH__ >= 800
#pragma unroll
  for (int k = 0; k < 2; ++k)
#pragma unroll
    for (int half = 0; half < 2; ++half)
      asm("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0,%1}, {%2}, {%3}, {%0,%1};"
          : "+d"(c[2 * half]), "+d"(c[2 * half + 1])
          : "d"(a[2 * k + half]), "d"(b[k]));
#endif
}

// c (16, 8) += a (16, 32) b (32, 8) of signed bytes. A word is four of them, byte e of it the lowest but e; lane 4 g +
// t holds
//   a: (g, 4t + e), (g + 8, 4t + e), (g, 16 + 4t + e), (g + 8, 16 + 4t + e);   b: (4t + e, g), (16 + 4t + e, g);   c as
//   above.
// Compiled where digits.hpp may ask for it.
inline constexpr bool kByteTensor =
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ != 800 && __CUDA_ARCH__ != 900
    false;
#else
    true;
#endif
__device__ __forceinline__ void multiply_add(std::int32_t (&c)[4], const std::uint32_t (&a)[4],
                                             const std::uint32_t (&b)[2]) {
#if __CUDA_ARCH__ >= 800
  asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}
// Without a c before.
__device__ __forceinline__ void multiply(std::int32_t (&c)[4], const std::uint32_t (&a)[4],
                                         const std::uint32_t (&b)[2]) {
#if __CUDA_ARCH__ >= 800
  asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%10,%10,%10,%10};"
      : "=r"(c[0]), "=r"(c[1]), "=r"(c[2]), "=r"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "r"(0));
#endif
}
// Four words from shared memory: lane 4 g + t has number n from byte 4 t of the 16 bytes that lane 8 n + g points to.
__device__ __forceinline__ void load_words(std::uint32_t (&to)[4], const void* from) {
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(from));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(address)
               : "memory");
}
// What this warp has read of shared memory is read again.
__device__ __forceinline__ void forget_memory() { __syncwarp(); }

// kernel(args...) on n_blocks blocks with that much shared memory.
template <class... Args>
cudaError_t launch(void (*kernel)(Args...), std::int64_t n_blocks, std::size_t shared_bytes, cudaStream_t stream,
                   std::type_identity_t<Args>... args) {
  const void* entry = reinterpret_cast<const void*>(kernel);
  void* pointers[] = {const_cast<void*>(static_cast<const void*>(&args))...};
  const cudaError_t error = cudaFuncSetAttribute(entry, cudaFuncAttributeMaxDynamicSharedMemorySize, int(shared_bytes));
  if (error != cudaSuccess) return error;
  return cudaLaunchKernel(entry, dim3(unsigned(n_blocks)), dim3(kThreads), pointers, shared_bytes, stream);
}

#else

inline int thread() { return shim::self().thread; }
inline std::int64_t block() { return shim::self().block; }
inline void barrier() { shim::self().team->barrier(shim::self().barriers++); }
template <class T>
T* shared_memory() {
  return reinterpret_cast<T*>(shim::self().team->memory());
}
inline double shuffle_xor(double x, int mask) {
  return shim::exchange<double>(x, [mask](const auto& of, int lane) { return of(lane ^ mask); });
}
inline std::uint64_t atomic_add(std::uint64_t* to, std::uint64_t x) {
  return std::atomic_ref(*to).fetch_add(x, std::memory_order_relaxed);
}
inline void atomic_set(int* to) { std::atomic_ref(*to).store(1, std::memory_order_relaxed); }
inline void copy_async(void* to, const void* from) { shim::self().copies.push_back({to, from}); }
inline void commit_copies() { shim::self().commit(); }
template <int Pending>
void copies_done() {
  shim::self().wait(Pending);
}
// No better than the device's.
template <class Bits, class T>
T without_last_bits(T y, int n) {
  Bits bits;
  std::memcpy(&bits, &y, sizeof y);
  bits &= ~Bits(0) << n;
  std::memcpy(&y, &bits, sizeof y);
  return y;
}
inline float rsqrt_estimate(float w) { return without_last_bits<std::uint32_t>(1.0f / std::sqrt(w), 2); }
inline double rsqrt_estimate(double w) { return without_last_bits<std::uint64_t>(1.0 / std::sqrt(w), 33); }
inline constexpr bool kTensor = true;
inline void multiply_add(double (&c)[4], const double (&a)[4], const double (&b)[2]) {
  struct Operands {
    double a[4], b[2];
  };
  const Operands mine{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}};
  shim::exchange<Operands>(mine, [&c](const auto& of, int lane) {
    const int g = lane / 4, t = lane % 4;
    for (int n = 0; n < 4; ++n)
      for (int k = 0; k < 8; ++k)
        c[n] += of(4 * g + k % 4).a[n / 2 + k / 4 * 2] * of(4 * (2 * t + n % 2) + k % 4).b[k / 4];
    return 0;
  });
}
inline constexpr bool kByteTensor = true;
inline void multiply_add(std::int32_t (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
  struct Operands {
    std::uint32_t a[4], b[2];
  };
  const auto byte = [](std::uint32_t word, int e) { return std::int32_t(std::int8_t(word >> 8 * e & 255)); };
  const Operands mine{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}};
  shim::exchange<Operands>(mine, [&c, byte](const auto& of, int lane) {
    const int g = lane / 4, t = lane % 4;
    for (int n = 0; n < 4; ++n)
      for (int k = 0; k < 32; ++k) {
        const int from = k % 16 / 4, e = k % 4;
        c[n] += byte(of(4 * g + from).a[n / 2 + k / 16 * 2], e) * byte(of(4 * (2 * t + n % 2) + from).b[k / 16], e);
      }
    return 0;
  });
}
inline void multiply(std::int32_t (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
  std::fill_n(c, 4, 0);
  multiply_add(c, a, b);
}
inline void forget_memory() {}
inline void load_words(std::uint32_t (&to)[4], const void* from) {
  struct Row {
    const unsigned char* at;
  };
  shim::exchange<Row>({static_cast<const unsigned char*>(from)}, [&to](const auto& of, int lane) {
    for (int n = 0; n < 4; ++n) std::memcpy(&to[n], of(8 * n + lane / 4).at + 4 * (lane % 4), 4);
    return 0;
  });
}

template <class... Args>
cudaError_t launch(void (*kernel)(Args...), std::int64_t n_blocks, std::size_t shared_bytes, cudaStream_t,
                   std::type_identity_t<Args>... args) {
  if (const cudaError_t error = shim::answer(); error != cudaSuccess) return error;
  shim::watch().launch(n_blocks, std::int64_t(shared_bytes));
  shim::run_grid(n_blocks, kThreads, shared_bytes, [&] { kernel(args...); });
  return cudaSuccess;
}

#endif

// to(number, row, column) for the four numbers of c (16, 8) that this lane holds.
template <class To>
__device__ __forceinline__ void each_of_fragment(const To& to) {
  const int g = thread() % kWarp / 4, t = thread() % 4;
#pragma unroll
  for (int n = 0; n < 4; ++n) to(n, g + n / 2 * 8, 2 * t + n % 2);
}

}  // namespace nc1fast::device
