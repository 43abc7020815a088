#include "entries.hpp"

namespace nc1fast::device {
const Launches<float> launches_f32 = Entries<float>::launches;
}  // namespace nc1fast::device
