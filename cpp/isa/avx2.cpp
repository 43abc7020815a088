#include "nc1fast/pass.hpp"
#include "nc1fast/tiles.hpp"

namespace nc1fast::isa {
extern const InstructionSet avx2;
const InstructionSet avx2{"avx2", Tiles<float, Avx2>::routines, Tiles<double, Avx2>::routines};
}  // namespace nc1fast::isa
