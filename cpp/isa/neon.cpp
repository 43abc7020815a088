#include "nc1fast/pass.hpp"
#include "nc1fast/tiles.hpp"

namespace nc1fast::isa {
extern const InstructionSet neon;
const InstructionSet neon{"neon", Tiles<float, Neon>::routines, Tiles<double, Neon>::routines};
}  // namespace nc1fast::isa
