#include "consign/base/memory.hpp"
#include <cstddef>
#include <cstdint>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

// Where the linker put the first and the last byte of headers, constants and code. All of it is mapped read-only from
// the file, so that a dropped page is read again as it was; writable data lies behind.
extern "C" const char __executable_start, etext; // NOLINT(bugprone-reserved-identifier)

namespace consign {

void release_idle_memory() noexcept {
    ::malloc_trim(0);
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    const auto begin = (reinterpret_cast<std::uintptr_t>(&__executable_start) + page - 1) / page * page;
    const auto end = reinterpret_cast<std::uintptr_t>(&etext) / page * page;
    if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

} // namespace consign
