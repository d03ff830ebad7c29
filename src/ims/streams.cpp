#include "streams.hpp"
#include "events.hpp"
#include "jobs.hpp"

namespace consign::ims {
namespace {

// A piece is held in memory until its reader has taken it.
constexpr events::Limit kEventsAtOnce{.rows = 64, .bytes = 64u << 10};
constexpr std::size_t kLogBytesAtOnce = 32u << 10;
constexpr auto kNotSooner = std::chrono::seconds(1); // clocks may disagree on whether a token has run out

/// What both have: a caller whose rights may end meanwhile.
class CallersFeed : public net::EventFeed {
  public:
    CallersFeed(Core& core, Caller caller) : core_(core), caller_(std::move(caller)) {}

    net::SteadyTime ask_again() override {
        if (!caller_.user || !caller_.user->expires_at) return net::SteadyTime::max();
        const auto left = *caller_.user->expires_at - core_.clock.now();
        return std::chrono::steady_clock::now() + std::max<Millis>(left, kNotSooner);
    }

  protected:
    bool may_read() const { return auth::check_still_good(core_, caller_).has_value(); }
    Core& core_;

  private:
    Caller caller_;
};

class Events final : public CallersFeed {
  public:
    Events(Core& core, Caller caller, std::int64_t after)
        : CallersFeed(core, std::move(caller)), after_(after) {}

    net::Async<Result<bool>> next(std::string& out) override {
        if (!may_read()) co_return false;
        CONSIGN_CO_TRY(found, co_await core_.db->read([after = after_](store::Connection& c) {
            return events::after(c, after, kEventsAtOnce);
        }));
        for (const auto& event : found) {
            net::append_event(out, std::to_string(event.seq), "", json::to_text(event));
            after_ = event.seq;
        }
        co_return true;
    }
    net::Mailbox& mailbox() override { return core_.events; }

  private:
    std::int64_t after_;
};

class Log final : public CallersFeed {
  public:
    Log(Core& core, Caller caller, JobId job, std::int64_t offset)
        : CallersFeed(core, std::move(caller)), job_(std::move(job)), offset_(offset) {}

    net::Async<Result<bool>> next(std::string& out) override {
        if (!may_read()) co_return false;
        // State before bytes: a job that has ended before the read writes nothing after it.
        CONSIGN_CO_TRY(
            job, co_await core_.db->read([id = job_](store::Connection& c) { return jobs::get(c, id); }));
        CONSIGN_CO_TRY(page, co_await core_.logs->read(job_, offset_, kLogBytesAtOnce));
        const bool ended = model::is_terminal(job.state);
        std::string_view text = page.data;
        const bool last = ended && text.size() < kLogBytesAtOnce;
        if (!last) text = text.substr(0, net::whole_text(text));
        offset_ += static_cast<std::int64_t>(text.size());
        if (!text.empty()) net::append_event(out, std::to_string(offset_), "", text);
        if (last) net::append_event(out, std::to_string(offset_), "end", json::name_of(job.state));
        co_return !last;
    }
    net::Mailbox& mailbox() override { return core_.logs->mailbox(job_); }

  private:
    JobId job_;
    std::int64_t offset_;
};

} // namespace

std::shared_ptr<net::EventFeed> event_feed(Core& core, Caller caller, std::int64_t after) {
    return std::make_shared<Events>(core, std::move(caller), after);
}

std::shared_ptr<net::EventFeed> log_feed(Core& core, Caller caller, JobId job, std::int64_t offset) {
    return std::make_shared<Log>(core, std::move(caller), std::move(job), offset);
}

} // namespace consign::ims
