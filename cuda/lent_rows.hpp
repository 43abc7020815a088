// Rows in the memory of a device that an array library lends (DLPack), read where they lie. What crosses to the host is
// a few numbers of each row, and the sums of each class.
#pragma once

#include <memory>

#include "dlpack.hpp"
#include "far_rows.hpp"
#include "far_work.hpp"
#include "memory.hpp"
#include "packing.hpp"

namespace nc1fast::device {

class LentRows final : public FarRows {
 public:
  // What has been lent, given back when the last who holds it lets go.
  using Tensor = std::unique_ptr<dlpack::ManagedTensor, void (*)(dlpack::ManagedTensor*)>;
  static Tensor owned(dlpack::ManagedTensor* tensor) {
    return {tensor, [](dlpack::ManagedTensor* lent) {
              if (lent->deleter) lent->deleter(lent);
            }};
  }
  // Null for what is not a matrix of float32 or float64 numbers on this device.
  static std::unique_ptr<LentRows> of(Tensor tensor, int device);

  int device() const { return device_; }
  const FarSource& source() const { return source_; }
  std::int64_t n() const { return n_; }

  struct Inspection {
    std::int64_t row = -1;  // the first with a number that is NaN or Inf; -1: there is none
    int column = 0;
    double value = 0;        // that number
    std::int64_t zeros = 0;  // rows of zeros
  };
  Inspection inspect() const;

  Matrix matrix() const override;
  std::vector<RowLengths> lengths(const std::int32_t* classes, const Means* means) const override;
  std::vector<double> totals(const std::vector<std::int64_t>& order,
                             const std::vector<std::int64_t>& begins) const override;

 private:
  LentRows(Tensor tensor, int device, const FarSource& source, std::int64_t n)
      : tensor_(std::move(tensor)), device_(device), source_(source), n_(n) {}
  // step(first, n) for some rows after the others.
  template <class Step>
  void by_chunks(const Step& step) const {
    for (std::int64_t first = 0; first < n_; first += kFarChunk) step(first, std::min(kFarChunk, n_ - first));
  }

  Tensor tensor_;
  int device_;
  FarSource source_;
  std::int64_t n_;
};

// The rows of `packed`, n_rows of them with what is padding, into panels of zeros on the stream of their device.
template <class T>
void pack_lent(Stream& stream, const LentRows& rows, const Packed<T>& packed, std::size_t n_rows, const Means& means,
               int padded, T* panels);

}  // namespace nc1fast::device
