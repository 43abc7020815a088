// The few things that every operating system does in its own way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <system_error>

namespace nc1fast::system {

// Up to `bytes` bytes of an open file from `offset` on, wherever others read it. Returns how many there were: 0 at its
// end, and where `error` is set.
std::size_t read_at(int file, char* to, std::size_t bytes, std::int64_t offset, std::error_code& error);

// Asks for large pages behind memory that is not written yet, so that few addresses are translated. Does nothing for
// small memory.
void prefer_large_pages(void* data, std::size_t bytes) noexcept;

// Whether this process may use the tiles of AMX: state that it has to ask for.
bool permits_tiles() noexcept;

}  // namespace nc1fast::system
