// The instruction sets of this build, and which of them this machine can run.
#pragma once

#include <vector>

#include "nc1fast/pass.hpp"

namespace nc1fast::isa {

extern const InstructionSet baseline, neon, avx2, avx512;

// AVX-512 with the products of float32 rows by tiles of bytes; null where the system or a test at first use forbids it.
const InstructionSet* amx();

// Those that this machine can run, the best one last.
std::vector<const InstructionSet*> available();

// The best one of this machine, or the one that NC1FAST_ISA names: asked once a call, by the thread that holds the GIL,
// since another may set the environment meanwhile (where there is no GIL, none may). Throws std::invalid_argument for a
// name that is unknown or that this machine cannot run.
const InstructionSet& selected();

}  // namespace nc1fast::isa

namespace nc1fast {

template <class T>
const Routines<T>& routines(const InstructionSet& set);
template <>
inline const Routines<float>& routines(const InstructionSet& set) {
  return set.f32;
}
template <>
inline const Routines<double>& routines(const InstructionSet& set) {
  return set.f64;
}

}  // namespace nc1fast
