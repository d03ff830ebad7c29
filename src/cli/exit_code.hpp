#pragma once
#include "consign/cli/cli.hpp"

namespace consign::cli {

inline constexpr int kDone = 0;
inline constexpr int kUsage = 2;        ///< the command line itself is wrong
inline constexpr int kReaderGone = 141; ///< as a shell reports one that died of SIGPIPE, which we ignore
inline constexpr int kJobFailed = 7;    ///< what was asked for began, and failed

} // namespace consign::cli
