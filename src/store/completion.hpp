#pragma once
#include "consign/net/visit.hpp"
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

namespace consign::store {

/// Called exactly once, from any thread, with how a piece of work ended.
using Completion = std::function<void(Result<void>)>;

/// Calls `submit(Completion)` and suspends until the completion is called; resumes on the caller's executor.
/// Cancelling the caller does not interrupt the wait: a queued write either happens or is refused, and the
/// caller learns which. So what its closure points to lives until then.
template <class Submit>
net::Async<Result<void>> await_completion(Submit submit) {
    co_return co_await net::asio::async_initiate<const net::asio::use_awaitable_t<net::Executor>,
                                                 void(Result<void>)>(
        [submit = std::move(submit)](auto handler) mutable {
            auto executor = net::asio::get_associated_executor(handler);
            using Handler = decltype(handler);
            using CallersExecutor = decltype(executor);
            struct Waiting {
                Waiting(Handler&& handler, const CallersExecutor& executor)
                    : resume(std::move(handler)), work(executor), visit(executor) {}
                Handler resume;
                net::asio::executor_work_guard<CallersExecutor>
                    work; // the io_context must not run dry meanwhile
                net::Visit visit;
            };
            auto waiting = std::make_shared<Waiting>(std::move(handler), executor);
            submit(Completion([waiting, executor](Result<void> outcome) {
                net::asio::post(executor,
                                [resume = std::move(waiting->resume), work = std::move(waiting->work),
                                 outcome = std::move(outcome)]() mutable { resume(std::move(outcome)); });
            }));
        },
        net::use_async);
}

} // namespace consign::store
