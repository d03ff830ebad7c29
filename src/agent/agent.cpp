#include "consign/agent/agent.hpp"
#include "agent/identity.hpp"
#include "agent/key_rotation.hpp"
#include "agent/session.hpp"
#include "consign/base/log.hpp"
#include <unistd.h>

namespace consign::agent {
namespace {

std::string hostname() {
    char name[256] = {};
    return gethostname(name, sizeof(name) - 1) == 0 ? name : "unknown";
}

Result<DirectoryLock> take_directory(const std::filesystem::path& data) {
    auto made = make_directories(data, 0700);
    if (made) {
        auto lock = DirectoryLock::acquire(data);
        if (lock || lock.error().code == Code::conflict) return lock;
        made = std::unexpected(std::move(lock).error());
    }
    return fail(made.error().code,
                "the data directory " + data.string() + " cannot be used: " + made.error().message,
                "choose one that this user may write, with --data");
}

class AgentProcess final : public Agent {
  public:
    AgentProcess(AgentOptions options, DirectoryLock lock)
        : options_(std::move(options)), lock_(std::move(lock)),
          http_(io_.executor(), {.ca_file = options_.ca_file, .user_agent = "consign/" + options_.version}) {}

    Result<void> prepare();

    const Identity& identity() const override { return identity_; }
    net::IoThread& io() override { return io_; }
    net::Client& http() override { return http_; }
    Result<void> run(const JobHandlers& handlers, std::stop_token stop) override;

  private:
    Result<void> adopt(Identity found);
    Result<void> enroll_now();

    AgentOptions options_;
    DirectoryLock lock_;
    std::optional<PrivateKey> key_;
    Identity identity_;
    net::Url ims_;
    bool moved_ = false; ///< the IMS was given at another URL than DATA/agent.json remembers
    net::IoThread io_;
    net::Client http_;
};

Result<void> AgentProcess::prepare() {
    CONSIGN_TRY(key, PrivateKey::load_or_create(options_.data / "agent.key"));
    key_ = std::move(key);
    CONSIGN_TRY(found, load_identity(options_.data));
    return found ? adopt(std::move(*found)) : enroll_now();
}

Result<void> AgentProcess::adopt(Identity found) {
    if (found.kind != options_.kind)
        return fail(Code::conflict,
                    options_.data.string() + " belongs to a " + std::string(json::name_of(found.kind)) +
                        " agent",
                    "give each agent a directory of its own, with --data");
    if (!options_.enroll_token.empty())
        log::info("enrolled already; the enrolment token is not used",
                  {{"agent", found.agent.str()}, {"ims", found.ims_url}});
    CONSIGN_TRY(url, parse_ims_url(options_.ims.empty() ? found.ims_url : options_.ims));
    ims_ = std::move(url);
    identity_ = std::move(found);
    moved_ = identity_.ims_url != ims_.str();
    identity_.ims_url = ims_.str();
    return {};
}

Result<void> AgentProcess::enroll_now() {
    if (options_.ims.empty() || options_.enroll_token.empty())
        return fail(Code::invalid_argument,
                    "this agent is not enrolled yet: " + options_.data.string() + " has no identity",
                    "give --ims URL and --enroll TOKEN; " + enroll_hint(options_.kind));
    CONSIGN_TRY(url, parse_ims_url(options_.ims));
    ims_ = url;
    protocol::EnrollRequest request{.token = options_.enroll_token.reveal(),
                                    .public_key = key_->public_key().to_pem(),
                                    .kind = options_.kind,
                                    .version = options_.version,
                                    .hostname = hostname()};
    CONSIGN_TRY(identity, io_.run(enroll(http_, url, std::move(request))));
    CONSIGN_CHECK(save_identity(options_.data, identity));
    identity_ = std::move(identity);
    log::info(
        "enrolled",
        {{"agent", identity_.agent.str()}, {"ims", identity_.ims_url}, {"install", identity_.install_name}});
    return {};
}

Result<void> AgentProcess::run(const JobHandlers& handlers, std::stop_token stop) {
    Journal journal(options_.data);
    CONSIGN_TRY(leftovers, journal.take_leftovers());
    // Every kind's own state on disk says how far it got, and another attempt goes on from there. So the leases
    // are given back at once: this process holds the directory's lock, and nobody runs them any more.
    SessionOptions session_options{
        .slots = options_.slots, .once = options_.once, .version = options_.version};
    for (const auto& entry : leftovers) {
        log::warn("an earlier process ended in the middle of a job; it is given back",
                  {{"job", entry.job.str()}, {"attempt", entry.attempt}});
        session_options.leftovers.push_back({entry.job, entry.epoch});
    }

    Credentials credentials(http_, ims_, identity_, *key_);
    ImsLink link(http_, ims_, credentials);
    RunEnvironment environment{.io = io_,
                               .http = http_,
                               .ims = link,
                               .journal = journal,
                               .handlers = handlers,
                               .data = options_.data,
                               .kind = options_.kind};
    if (rotation_is_unfinished(options_.data))
        if (auto done = io_.run(rotate_key(io_, link, options_.data), stop); !done)
            log::warn("a key rotation that was cut short could not be ended; it goes on later",
                      {{"error", to_string(done.error())}});
    // A new URL is remembered once the IMS there has taken us for who we are.
    if (moved_) session_options.on_connected = [this] { return save_identity(options_.data, identity_); };
    CONSIGN_TRY(session_id, journal.next_session(SystemClock().now()));
    Session session(environment, session_id, std::move(session_options));
    const std::stop_callback on_stop(stop, [&session] { session.stop(); });
    return io_.run(session.run());
}

} // namespace

Result<std::unique_ptr<Agent>> Agent::open(AgentOptions options) {
    CONSIGN_TRY(lock, take_directory(options.data));
    auto agent = std::make_unique<AgentProcess>(std::move(options), std::move(lock));
    CONSIGN_CHECK(agent->prepare());
    return agent;
}

} // namespace consign::agent
