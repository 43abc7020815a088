#include "system.hpp"

#if defined(_WIN32)
#include <io.h>
#include <windows.h>
#else
#include <unistd.h>

#include <cerrno>
#endif
#if defined(__linux__)
#include <sys/mman.h>
#include <sys/syscall.h>
#endif

namespace nc1fast::system {

#if defined(_WIN32)

std::size_t read_at(int file, char* to, std::size_t bytes, std::int64_t offset, std::error_code& error) {
  constexpr std::size_t most = std::size_t(1) << 30;  // what is asked for is counted in 32 bits
  OVERLAPPED place{};
  place.Offset = DWORD(std::uint64_t(offset));
  place.OffsetHigh = DWORD(std::uint64_t(offset) >> 32);
  DWORD got = 0;
  const HANDLE handle = reinterpret_cast<HANDLE>(_get_osfhandle(file));
  if (ReadFile(handle, to, DWORD(bytes < most ? bytes : most), &got, &place)) return got;
  if (GetLastError() != ERROR_HANDLE_EOF) error.assign(int(GetLastError()), std::system_category());
  return 0;
}

#else

std::size_t read_at(int file, char* to, std::size_t bytes, std::int64_t offset, std::error_code& error) {
  for (;;) {
    const auto got = ::pread(file, to, bytes, offset);
    if (got >= 0) return std::size_t(got);
    if (errno == EINTR) continue;
    error.assign(errno, std::generic_category());
    return 0;
  }
}

#endif

void prefer_large_pages([[maybe_unused]] void* data, [[maybe_unused]] std::size_t bytes) noexcept {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  constexpr std::size_t large = std::size_t(2) << 20;
  if (bytes < 2 * large) return;
  const auto page = std::uintptr_t(::sysconf(_SC_PAGESIZE));
  const std::size_t before = (page - std::uintptr_t(data) % page) % page;
  ::madvise(static_cast<char*>(data) + before, bytes - before, MADV_HUGEPAGE);  // a wish: nothing depends on it
#endif
}

bool permits_tiles() noexcept {
#if defined(__linux__) && defined(__x86_64__)
  constexpr int request = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return ::syscall(SYS_arch_prctl, request, tile_data) == 0;
#else
  return false;
#endif
}

}  // namespace nc1fast::system
