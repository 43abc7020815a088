// Rows as digits (nc1fast/slices.hpp) in the memory of a device, and where products of them are the faster ones.
//
// A panel of 64 rows becomes, in its place, digits as bytes, for each step of 32 entries (kDigits, 2, 64, 16): of a
// digit and half a step, 16 bytes of each row. Then its 64 scales.
#pragma once

#include <algorithm>
#include <cstddef>

#include "nc1fast/slices.hpp"
#include "work.hpp"

namespace nc1fast::device {

inline constexpr int kDigitStep = 32;                                            // entries that a fragment holds
inline constexpr int kDigitBytes = slices::kDigits * kWidth * kDigitStep;        // of a panel, for a step
inline constexpr int kDigitStages = 2;                                           // in shared memory, one on its way
inline constexpr int kDigitStageBytes = kDigitStages * 2 * kDigitBytes;          // of both panels
inline constexpr int kDigitChunkSteps = slices::kChunk / kDigitStep;             // whose sums are integers
static_assert(slices::kChunk % kDigitStep == 0 && slices::kWhole % kStep == 0);  // padding decides about no chunk

// depth: of packed rows.
NC1FAST_HD constexpr int digit_steps(int depth) { return (depth + kDigitStep - 1) / kDigitStep; }
NC1FAST_HD constexpr std::ptrdiff_t scales_at(int depth) { return std::ptrdiff_t(digit_steps(depth)) * kDigitBytes; }
// Digits and scales of the fewest entries fit into the place of their numbers; of more there is more room.
static_assert(scales_at(slices::kLeast) + kWidth * 4 <= (slices::kLeast + kStep - 1) / kStep * kStep * kWidth * 4);

// Shared memory of a block that multiplies digits: steps lie where the chords will be, but beside the sums of chunks.
constexpr std::size_t digit_bytes(int depth) {
  const std::size_t sums = slices::chunks_of(depth) > 1 ? unit_bytes<float> : 0;
  return std::max(unit_bytes<float>, kDigitStageBytes + sums);
}

// Products of two entries in a cycle of a multiprocessor: by FFMA, and by mma of bytes, eight for a product. NVIDIA's
// tables: 64 FFMA and 2048 products of bytes (A100), 128 and 4096 (H100). There every slot would have to be an FFMA,
// but loads take an eighth of them; and mma.sync has been measured to reach five eighths: the rest takes wgmma.
struct ProductRates {
  double numbers, digits;
};
// Others are left out: cards of 8.6, 8.9 and 12.0 have 1024 products of bytes beside 128 FFMA, 7.5 no such mma; of 10.0
// there is no figure.
constexpr ProductRates product_rates(int major, int minor) {
  if (major == 8 && minor == 0) return {64, 2048.0 / 8};
  if (major == 9 && minor == 0) return {128 / 1.14, 4096.0 / 8 * 5 / 8};
  return {1, 0};
}

// Whether products of float32 rows of so many entries are sums of products of digits.
constexpr bool by_digits(int major, int minor, int depth) {
  const ProductRates rates = product_rates(major, minor);
  const double numbers = (depth + kStep - 1) / kStep * kStep, digits = digit_steps(depth) * kDigitStep;
  return depth >= slices::kLeast && digits * rates.numbers < numbers * rates.digits;
}

}  // namespace nc1fast::device
