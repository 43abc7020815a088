// The entries of both types, of digits, and those over rows in place, compiled for the host.
#include "entries_digits.cu"
#include "entries_f32.cu"
#include "entries_f64.cu"
#include "far_entries.cu"
