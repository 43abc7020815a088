// Rows in memory that the processor does not read: what it gets to know of them is a few numbers of each.
#pragma once

#include <cstdint>
#include <vector>

#include "engine.hpp"
#include "scaling.hpp"

namespace nc1fast {

// The bits of all sums are those of rows at hand: survey.cpp, packing.cpp.
class FarRows {
 public:
  virtual ~FarRows() = default;
  virtual Matrix matrix() const = 0;
  // Of every row as it is stored, (n,), with its class in `classes`; null, null: about the origin.
  virtual std::vector<RowLengths> lengths(const std::int32_t* classes, const Means* means) const = 0;
  // (C, d): sums of the rows of each class, order[begins[c]] the first of them, one after the other.
  virtual std::vector<double> totals(const std::vector<std::int64_t>& order,
                                     const std::vector<std::int64_t>& begins) const = 0;
};

}  // namespace nc1fast
