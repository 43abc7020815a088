#include "nc1fast/pass.hpp"
#include "nc1fast/tiles.hpp"

namespace nc1fast::isa {
extern const InstructionSet baseline;
const InstructionSet baseline{"baseline", Tiles<float, Baseline>::routines, Tiles<double, Baseline>::routines};
}  // namespace nc1fast::isa
