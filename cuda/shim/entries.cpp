// The entries of both types, compiled for the host.
#include "entries_f32.cu"
#include "entries_f64.cu"
#include "entries_digits.cu"
