// What the static binary leaves out of its libraries, because nothing here uses it: 0.7 MiB. Each function
// stands for one that the linker would bring in with all it needs (see dependencies.cmake for how they are
// put in its place).
#include <cstddef>
#include <limits>

extern "C" {

// SQLite, in the place of sin(x), pow(x, y) and all other mathematics of SQL, whose tables are large. NaN is
// NULL in SQL.
double consign_no_mathematics() { return std::numeric_limits<double>::quiet_NaN(); }

// SQLite, in the place of what registers its search engines with a new connection. 0 is SQLITE_OK.
int __wrap_sqlite3Fts3Init(void*) { return 0; }
int __wrap_sqlite3Fts5Init(void*) { return 0; }
int __wrap_sqlite3RtreeInit(void*) { return 0; }

// libc++abi, which would name the type of an exception that nobody catches in C++ rather than in its mangled
// form.
char* __cxa_demangle(const char*, char*, std::size_t*, int* status) {
    if (status) *status = -1; // "memory allocation failed": the caller prints the mangled name
    return nullptr;
}

} // extern "C"
