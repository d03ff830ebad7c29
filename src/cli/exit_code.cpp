#include "cli/exit_code.hpp"

namespace consign::cli {

// 2 is for the parser alone: a server that finds fault with an argument has understood the command.
int exit_code_of(Code code) {
    switch (code) {
    case Code::not_found:
        return 3;
    case Code::unauthenticated:
    case Code::permission_denied:
        return 4;
    case Code::conflict:
    case Code::lease_lost:
    case Code::session_superseded:
        return 5;
    case Code::unavailable:
    case Code::rate_limited:
    case Code::timed_out:
        return 6;
    case Code::failed:
        return kJobFailed;
    case Code::invalid_argument:
    case Code::too_large:
    case Code::cancelled:
    case Code::corrupt:
    case Code::unsupported:
    case Code::storage_full:
    case Code::internal:
        return 1;
    }
    return 1;
}

} // namespace consign::cli
