// Inner products of two panels of digits (digits.hpp) by the tensor cores of bytes, the definition of
// nc1fast/slices.hpp to the bit.
#pragma once

#include "device.hpp"
#include "digits.hpp"
#include "lanes.hpp"

namespace nc1fast::slices {

template <>
NC1FAST_HD inline float remainder<float>(float x, float a, float s) {
  return ::fmaf(-a, s, x);
}

}  // namespace nc1fast::slices

namespace nc1fast::device {

__device__ __forceinline__ const unsigned char* digits_of(const float* panels, int p, int depth) {
  return reinterpret_cast<const unsigned char*>(panels + std::ptrdiff_t(p) * depth * kWidth);
}
__device__ __forceinline__ const float* scales_of(const unsigned char* panel, int depth) {
  return reinterpret_cast<const float*>(panel + scales_at(depth));
}

// A thread has a row. Digits of a step end before the numbers of the next one begin.
__device__ __forceinline__ void slice_panel(float* panel, int depth) {
  const int r = thread(), n = digit_steps(depth);
  float most = 0;
  for (int k = 0; k < depth; ++k) most = larger(most, math::abs(panel[k * kWidth + r]));
  const float s = slices::scale(most), inverse = s > 0.0f ? 1.0f / s : 0.0f;
  auto* const digits = reinterpret_cast<std::uint32_t*>(panel);
  for (int step = 0; step < n; ++step) {
    std::uint32_t words[slices::kDigits][kDigitStep / 4] = {};
#pragma unroll
    for (int e = 0; e < kDigitStep; ++e) {
      const int k = step * kDigitStep + e;
      float a[slices::kDigits];
      slices::digits(k < depth ? panel[k * kWidth + r] : 0.0f, s, inverse, a);
#pragma unroll
      for (int l = 0; l < slices::kDigits; ++l) words[l][e / 4] |= (std::uint32_t(int(a[l])) & 255) << e % 4 * 8;
    }
    barrier();  // all have read what is overwritten
#pragma unroll
    for (int l = 0; l < slices::kDigits; ++l)
#pragma unroll
      for (int w = 0; w < kDigitStep / 4; ++w)
        digits[step * (kDigitBytes / 4) + ((l * 2 + w / 4) * kWidth + r) * 4 + w % 4] = words[l][w];
  }
  panel[scales_at(depth) / 4 + r] = s;
}

// Steps of both panels on their way through shared memory, from the last to the first.
class DigitStages {
  static constexpr int kCopies = kDigitBytes / 16 / kThreads;  // of one thread
  static_assert(kCopies * kThreads * 16 == kDigitBytes);

 public:
  __device__ DigitStages(const unsigned char* a, const unsigned char* b, int n, unsigned char* memory)
      : a_(a), b_(b), next_(n * kDigitBytes), memory_(memory) {}
  __device__ __forceinline__ void fetch() {
    next_ -= kDigitBytes;
    const int own = thread() * 16;
    unsigned char* to = memory_ + fetched_ * 2 * kDigitBytes + own;
#pragma unroll
    for (int n = 0; n < kCopies; ++n) {
      copy_async(to + n * kThreads * 16, a_ + next_ + own + n * kThreads * 16);
      copy_async(to + kDigitBytes + n * kThreads * 16, b_ + next_ + own + n * kThreads * 16);
    }
    fetched_ ^= 1;
  }
  // The next step of a, followed by that of b.
  __device__ __forceinline__ const unsigned char* take() {
    const unsigned char* step = memory_ + taken_ * 2 * kDigitBytes;
    taken_ ^= 1;
    return step;
  }
  __device__ static const unsigned char* b(const unsigned char* step) { return step + kDigitBytes; }

 private:
  static_assert(kDigitStages == 2);
  const unsigned char *a_, *b_;
  std::ptrdiff_t next_;  // bytes before the last step that is fetched
  unsigned char* memory_;
  int fetched_ = 0, taken_ = 0;
};

// A warp has 32 rows, in 2 x 8 fragments of 16 x 8. Of an entry it keeps two integers: C0 to C3 would be four, for
// which there are no registers.
class ByDigits {
  static constexpr int kRows = kWidth / (kThreads / kWarp) / 16, kColumns = kWidth / 8;
  std::int32_t upper_[kRows][kColumns][4] = {}, lower_[kRows][kColumns][4] = {};  // 128 C0 + C1, 128 C2 + C3

  __device__ static int first() { return thread() / kWarp * kRows; }  // of the fragments of this warp
  // Of 16 rows, those of either eight, and of 32 entries those of either half: as one fragment of rows, or as two of
  // columns.
  template <bool Rows>
  __device__ static void take(const unsigned char* step, int digit, int group, std::uint32_t (&to)[4]) {
    const int lane = thread() % kWarp, first = lane / 8 % 2, second = lane / 16;
    const int eight = Rows ? first : second, half = Rows ? second : first;
    load_words(to, step + ((digit * 2 + half) * kWidth + group * 16 + eight * 8 + lane % 8) * 16);
  }
  __device__ static void add(std::int32_t (&to)[4], const std::int32_t (&above)[4]) {
#pragma unroll
    for (int n = 0; n < 4; ++n) to[n] += above[n] * 128;
  }

 public:
  __device__ __forceinline__ void step(const unsigned char* a, const unsigned char* b) {
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      std::uint32_t x[slices::kDigits][4];
#pragma unroll
      for (int l = 0; l < slices::kDigits; ++l) take<true>(a, l, first() + i, x[l]);
#pragma unroll
      for (int j = 0; j < kColumns; j += 2) {
        std::uint32_t y[4];  // of two fragments of columns
        std::int32_t c2[2][4];
        take<false>(b, 0, j / 2, y);
#pragma unroll
        for (int n = 0; n < 2; ++n) {
          std::int32_t c0[4];
          multiply(c0, x[0], {y[2 * n], y[2 * n + 1]});
          multiply_add(upper_[i][j + n], x[1], {y[2 * n], y[2 * n + 1]});
          multiply(c2[n], x[2], {y[2 * n], y[2 * n + 1]});
          add(upper_[i][j + n], c0);
        }
        take<false>(b, 1, j / 2, y);
#pragma unroll
        for (int n = 0; n < 2; ++n) {
          multiply_add(upper_[i][j + n], x[0], {y[2 * n], y[2 * n + 1]});
          multiply_add(c2[n], x[1], {y[2 * n], y[2 * n + 1]});
          multiply_add(lower_[i][j + n], x[2], {y[2 * n], y[2 * n + 1]});
        }
        take<false>(b, 2, j / 2, y);
#pragma unroll
        for (int n = 0; n < 2; ++n) {
          multiply_add(c2[n], x[0], {y[2 * n], y[2 * n + 1]});
          multiply_add(lower_[i][j + n], x[1], {y[2 * n], y[2 * n + 1]});
          add(lower_[i][j + n], c2[n]);
        }
      }
      forget_memory();  // columns are read again: registers would not hold them
    }
  }
  // to(number, row, column) for every product that this thread has.
  template <class To>
  __device__ static __forceinline__ void each(const To& to) {
#pragma unroll
    for (int i = 0; i < kRows; ++i)
#pragma unroll
      for (int j = 0; j < kColumns; ++j)
        each_of_fragment([&](int n, int row, int column) {
          to((i * kColumns + j) * 4 + n, 16 * (first() + i) + row, 8 * j + column);
        });
  }
  // Over the scales of its rows.
  __device__ __forceinline__ float product(int number) const {
    const int i = number / 4 / kColumns, j = number / 4 % kColumns, n = number % 4;
    return 0x1p-7f * (float(upper_[i][j][n]) + 0x1p-14f * float(lower_[i][j][n]));
  }
};

// to(row, column, <a_row, b_column>) for all rows of two panels, each by one thread. `memory` is free before and after.
template <class To>
__device__ __forceinline__ void digit_products(const unsigned char* a, const unsigned char* b, int depth, float* memory,
                                               const To& to) {
  constexpr int kOwn = kWidth * kWidth / kThreads;
  const int n_chunks = slices::chunks_of(depth);
  int step = digit_steps(depth);
  float* const sums = memory + thread();  // over the chunks but the first, where there are some
  DigitStages stages(a, b, step, reinterpret_cast<unsigned char*>(n_chunks == 1 ? memory : memory + kWidth * kWidth));
  stages.fetch();
  commit_copies();
  float own[kOwn];
  for (int chunk = n_chunks - 1; chunk >= 0; --chunk) {
    ByDigits products;
    for (const int end = chunk * kDigitChunkSteps; step > end; --step) {
      copies_done<0>();
      barrier();  // the step is there for all, and the place of the one before is free
      if (step > 1) stages.fetch();
      commit_copies();
      const unsigned char* now = stages.take();
      products.step(now, DigitStages::b(now));
    }
#pragma unroll
    for (int k = 0; k < kOwn; ++k) {
      const float later = chunk + 1 < n_chunks ? sums[k * kThreads] : 0.0f;
      own[k] = later + products.product(k);
      if (chunk > 0) sums[k * kThreads] = own[k];
    }
  }
  const float *scale_a = scales_of(a, depth), *scale_b = scales_of(b, depth);
  barrier();
  ByDigits::each([&](int k, int row, int column) { to(row, column, own[k] * (scale_a[row] * scale_b[column])); });
  barrier();
}

}  // namespace nc1fast::device
