#include <cstdlib>
#include <stdexcept>
#include <string>

#include "isa/isa.hpp"

#if defined(NC1FAST_X86)
#include <cpuid.h>
#endif

namespace nc1fast::isa {
namespace {

#if defined(NC1FAST_X86)
// The state that the operating system saves on a context switch: without it wide registers are lost.
std::uint64_t saved_state() {
  std::uint32_t low = 0, high = 0;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return std::uint64_t(high) << 32 | low;
}

struct Cpu {
  bool avx2 = false, avx512 = false, amx = false;
  Cpu() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return;
    const bool osxsave = c >> 27 & 1, fma = c >> 12 & 1;
    if (!osxsave || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return;
    const std::uint64_t state = saved_state();
    const bool ymm = (state & 0x06) == 0x06, zmm = (state & 0xe6) == 0xe6;
    avx2 = ymm && fma && (b >> 5 & 1);
    avx512 = avx2 && zmm && (b >> 16 & 1) && (b >> 17 & 1) && (b >> 30 & 1) && (b >> 31 & 1);  // F, DQ, BW, VL
    amx = avx512 && (state & 0x60000) == 0x60000 && (d >> 24 & 1) && (d >> 25 & 1);  // tiles, and those of bytes
  }
};
#endif

}  // namespace

std::vector<const InstructionSet*> available() {
  std::vector<const InstructionSet*> sets{&baseline};
#if defined(NC1FAST_X86)
  static const Cpu cpu;
  if (cpu.avx2) sets.push_back(&avx2);
  if (cpu.avx512) sets.push_back(&avx512);
  if (cpu.amx && amx()) sets.push_back(amx());
#elif defined(NC1FAST_ARM)
  sets.push_back(&neon);  // every aarch64 has it
#endif
  return sets;
}

const InstructionSet& selected() {
  const auto sets = available();
  const char* wanted = std::getenv("NC1FAST_ISA");
  if (!wanted || !*wanted) return *sets.back();
  std::string names;
  for (const InstructionSet* set : sets) {
    if (std::string(set->name) == wanted) return *set;
    names += names.empty() ? set->name : std::string(", ") + set->name;
  }
  throw std::invalid_argument("NC1FAST_ISA=" + std::string(wanted) + " is not one that this machine runs: " + names);
}

}  // namespace nc1fast::isa
