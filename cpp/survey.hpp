// The survey: what tiles need to know about all rows before the first of them runs.
#pragma once

#include "scan.hpp"

namespace nc1fast {

// First sorted row of every class, and the end.
inline std::vector<std::int64_t> begins_of(const std::vector<std::int64_t>& sizes) {
  std::vector<std::int64_t> begins{0};
  for (const std::int64_t size : sizes) begins.push_back(begins.back() + size);
  return begins;
}

// The first scan. Rows of a class are added in their order: the bits depend on nothing else. False when stopped.
bool class_means(const Sequence& sequence, const InputLayer& layer, Team& team, const Poll& poll, Means& means);

}  // namespace nc1fast
