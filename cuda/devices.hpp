// Tiles on CUDA devices.
#pragma once

#include <vector>

#include "backend.hpp"
#include "memory.hpp"
#include "work.hpp"

namespace nc1fast::device {

// Rows are divided at multiples of this: of a panel, and of the rows that a scan reads at a time.
inline constexpr std::int64_t kDeviceRowStep = 192;

class Devices final : public Backend {
 public:
  // Throws DeviceError for a device that is not there.
  explicit Devices(std::vector<int> devices);

  int panel(bool) const override;
  std::size_t row(bool, int depth) const override { return std::size_t(depth); }
  TileSize tile(bool) const override { return {kTilePanels}; }
  std::int64_t row_step() const override { return kDeviceRowStep; }
  std::unique_ptr<AnyPass> pass(const Shared& shared, bool within, std::int64_t n_rows) const override;
  bool gram(const Matrix& x, const Matrix& z, const Kernels& kernels, int n_threads, const Poll& poll,
            float* out) const override;
  bool gram(const Matrix& x, const Matrix& z, const Kernels& kernels, int n_threads, const Poll& poll,
            double* out) const override;
  // The same into memory of the first of them.
  template <class T>
  bool gram_on_device(const Matrix& x, const Matrix& z, const Kernels& kernels, int n_threads, const Poll& poll,
                      T* out) const;

 private:
  std::vector<int> devices_;
};

}  // namespace nc1fast::device
