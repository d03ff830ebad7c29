#pragma once
#include "cli/context.hpp"
#include "consign/protocol/user_api.hpp"

namespace consign::cli {

/// False: no more, thank you.
using OnLogPiece = std::function<bool(std::int64_t offset, std::string_view piece)>;
/// Hands out the log of a job piece by piece from `offset`; returns the offset after the last one. With
/// `follow` it waits for more until the job has ended and its log is read to the end, or `stop`.
Result<std::int64_t> read_log(Context& context, const std::string& job, std::int64_t offset, bool follow,
                              const OnLogPiece& on_piece, std::stop_token stop = {});

/// The last lines of a job's log, oldest first.
Result<std::vector<std::string>> log_tail(Context& context, const std::string& job, std::size_t lines);

} // namespace consign::cli
