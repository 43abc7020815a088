#include "nc1fast/pass.hpp"
#include "nc1fast/tiles.hpp"

namespace nc1fast::isa {
extern const InstructionSet avx512;
const InstructionSet avx512{"avx512", Tiles<float, Avx512>::routines, Tiles<double, Avx512>::routines};
}  // namespace nc1fast::isa
