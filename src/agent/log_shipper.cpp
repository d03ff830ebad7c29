#include "agent/log_shipper.hpp"
#include "agent/wait.hpp"
#include "consign/base/log.hpp"
#include "consign/net/backoff.hpp"

namespace consign::agent {
namespace {

std::string path_of(const protocol::Lease& lease, std::string_view what) {
    return "/v1/jobs/" + lease.job.str() + "/" + std::string(what);
}

bool is_lost(const Error& error) { return error.code == Code::lease_lost || error.code == Code::not_found; }

net::Async<Result<void>> send_steps(ImsLink& ims, const protocol::Lease& lease, Outbox& outbox) {
    protocol::StepsRequest request{outbox.take_steps()};
    if (request.steps.empty()) co_return Result<void>();
    auto sent = co_await ims.text(
        {.path = path_of(lease, "steps"), .body = json::to_text(request), .epoch = lease.epoch});
    if (sent) co_return Result<void>();
    Error error = std::move(sent).error();
    if (may_pass(error.code))
        outbox.put_back(std::move(request.steps));
    else if (!is_lost(error)) {
        log::warn("the IMS refuses a job's steps", {{"job", lease.job.str()}, {"error", to_string(error)}});
        co_return Result<void>();
    }
    co_return std::unexpected(std::move(error));
}

/// The server's word on where the log goes on counts, in a 200 as in a 409. After an answer that got lost
/// this is what keeps a piece from being stored twice.
net::Async<Result<void>> send_piece(ImsLink& ims, const protocol::Lease& lease, Outbox& outbox) {
    auto piece = outbox.next_piece();
    if (piece.bytes.empty()) co_return Result<void>();
    const std::string path = path_of(lease, "logs?offset=") + std::to_string(piece.offset);
    CONSIGN_CO_TRY(answer, co_await ims.send({.path = path,
                                              .body = std::move(piece.bytes),
                                              .content_type = "application/octet-stream",
                                              .epoch = lease.epoch}));
    if (!answer.ok() && (answer.status != 409 || answer.is_problem()))
        co_return std::unexpected(error_of(answer, ims.url()));
    const auto position = json::decode_text<protocol::LogPosition>(answer.body);
    if (!position)
        co_return fail(Code::unavailable, "no IMS answers a piece of log so: " + position.error().message);
    // An answer that moves nothing would be asked for again at once, for ever.
    if (!outbox.resume_at(position->expected_offset) && !outbox.abandoned())
        co_return fail(Code::unavailable, "the IMS took a piece of the log and stayed at the same offset");
    co_return Result<void>();
}

} // namespace

net::Async<Result<void>> ship(ImsLink& ims, const protocol::Lease& lease, Outbox& outbox,
                              net::Mailbox& wake) {
    net::Backoff backoff;
    net::SteadyTime not_before = net::SteadyTime::min();
    for (;;) {
        const auto seen = wake.version();
        if (outbox.abandoned()) co_return Result<void>();
        const auto due = outbox.due();
        if (!due && outbox.closed()) co_return Result<void>();
        const auto when = due ? std::max(*due, not_before) : kNoDeadline;
        if (when > std::chrono::steady_clock::now()) {
            co_await wait_past(wake, seen, when);
            continue;
        }
        auto sent = co_await send_steps(ims, lease, outbox);
        if (sent) sent = co_await send_piece(ims, lease, outbox);
        if (sent) {
            backoff.reset();
            not_before = net::SteadyTime::min();
            continue;
        }
        const Error& error = sent.error();
        if (is_lost(error)) co_return fail(Code::lease_lost, error.message);
        if (may_pass(error.code)) {
            not_before = std::chrono::steady_clock::now() + backoff.next();
            log::debug("a job's log waits", {{"job", lease.job.str()}, {"error", to_string(error)}});
        } else { // the log is over its limit, say: the job itself goes on
            log::warn("the IMS refuses a job's log; the rest of it is dropped",
                      {{"job", lease.job.str()}, {"error", to_string(error)}});
            outbox.discard_log();
        }
    }
}

} // namespace consign::agent
