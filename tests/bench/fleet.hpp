#pragma once
#include "bench.hpp"

namespace bench {

/// The data directory of a stopped server, at `data`, with so many build agents; their access tokens, good for an
/// hour. Made in the store and with the server's key: enrolling each takes three requests.
std::vector<std::string> make_fleet(const std::filesystem::path& binary, const std::filesystem::path& data,
                                    int agents);

} // namespace bench
