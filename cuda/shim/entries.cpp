// The entries of both types, compiled for the host.
#include "entries_digits.cu"
#include "entries_f32.cu"
#include "entries_f64.cu"
