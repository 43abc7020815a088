// The instruction sets of this build, and which of them this machine can run.
#pragma once

#include <vector>

#include "nc1fast/pass.hpp"

namespace nc1fast::isa {

extern const InstructionSet baseline, avx2, avx512;

// Those that this machine can run, the best one last.
std::vector<const InstructionSet*> available();

// The best one of this machine, or the one that NC1FAST_ISA names. Throws std::invalid_argument for a name that is
// unknown or that this machine cannot run.
const InstructionSet& selected();

}  // namespace nc1fast::isa

namespace nc1fast {

template <class T>
const Routines<T>& routines();
template <>
inline const Routines<float>& routines() {
  return isa::selected().f32;
}
template <>
inline const Routines<double>& routines() {
  return isa::selected().f64;
}

}  // namespace nc1fast
