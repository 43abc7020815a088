#include "entries.hpp"

namespace nc1fast::device {
const Launches<double> launches_f64 = Entries<double>::launches;
}  // namespace nc1fast::device
