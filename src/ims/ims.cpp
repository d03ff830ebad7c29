#include "consign/ims/ims.hpp"
#include "consign/base/file.hpp"
#include "consign/base/log.hpp"
#include "consign/base/random.hpp"
#include "core.hpp"
#include "gateway.hpp"
#include "leases.hpp"
#include "limits.hpp"
#include "migrations.hpp"
#include "routes.hpp"
#include "schedules.hpp"
#include "wait_watch.hpp"
#include <format>

namespace consign::ims {
namespace {

/// Reads, or on the first start makes, what names this vendor. The keys are files; the id is in the store.
Result<Vendor> load_vendor(const std::filesystem::path& data, store::Database& db, Time now) {
    CONSIGN_CHECK(make_directories(data / "keys", 0700));
    CONSIGN_TRY(token_key, PrivateKey::load_or_create(data / "keys" / "token.pem"));
    CONSIGN_TRY(signing_key, PrivateKey::load_or_create(data / "keys" / "vendor.pem"));
    CONSIGN_TRY(id, db.write_blocking([now](store::Transaction& tx) -> Result<std::string> {
        CONSIGN_TRY(known, tx.query_one("SELECT value FROM meta WHERE key='ims'", {},
                                        [](const store::Row& row) { return row.string(0); }));
        if (known) return *known;
        const std::string made = "ims_" + new_ulid(now);
        CONSIGN_CHECK(tx.execute("INSERT INTO meta(key, value) VALUES ('ims', $1)", {made}));
        return made;
    }));
    return Vendor{.id = id,
                  .token_key = token_key,
                  .token_public_key = token_key.public_key(),
                  .signing_public_key = signing_key.public_key()};
}

/// The owner's token, made when there is none. The file is written before the row: a crash between the two
/// makes a new one at the next start, and never leaves a vendor whose token nobody has.
Result<std::string> ensure_owner(const std::filesystem::path& data, store::Database& db, Time now) {
    CONSIGN_TRY(exists, db.read_blocking([](store::Connection& c) {
        return c.query_one("SELECT 1 FROM user_tokens WHERE role='owner' AND revoked=0 LIMIT 1", {},
                           [](const store::Row&) { return true; });
    }));
    if (exists) return std::string{};
    const auto token = random_token("cst_");
    CONSIGN_CHECK(write_file_atomic(data / "owner.token", token + "\n", 0600));
    CONSIGN_CHECK(db.write_blocking([&](store::Transaction& tx) -> Result<void> {
        CONSIGN_CHECK(tx.execute(
            "INSERT INTO user_tokens(id, hash, name, role, created_at) VALUES ($1,$2,'owner','owner',$3)",
            {TokenId::make(now), sha256_hex(token), now}));
        return {};
    }));
    return token;
}

/// What time does to jobs: leases, pauses and limits that are over, and jobs that come by themselves.
net::Async<> advance_jobs(Core& core) {
    const auto due = co_await core.db->read([now = core.clock.now()](store::Connection& c) -> Result<bool> {
        CONSIGN_TRY(jobs, jobs::anything_due(c, now));
        return jobs ? Result<bool>(true) : schedules::anything_due(c, now);
    });
    if (!due || !*due) co_return;
    // Each by itself: what one of them cannot do must not keep the others from it.
    constexpr std::pair<const char*, Result<int> (*)(Change&)> kWork[] = {
        {"leases", jobs::expire},
        {"pauses", jobs::end_pauses},
        {"limits", jobs::enforce_limits},
        {"schedules", schedules::tick},
    };
    for (const auto& [what, work] : kWork)
        if (const auto done = co_await core.change(work); !done)
            log::error("cannot advance the jobs", {{"what", what}, {"error", to_string(done.error())}});
}

/// Keeps on disk when agents were last seen.
net::Async<> store_last_seen(Core& core, std::map<AgentId, Time>& written) {
    std::vector<std::pair<AgentId, Time>> seen;
    for (const auto& agent : core.directory.agents())
        if (const auto at = Directory::last_seen(agent); at && *at != written[agent.id])
            seen.emplace_back(agent.id, written[agent.id] = *at);
    if (seen.empty()) co_return;
    auto stored = co_await core.db->write([seen](store::Transaction& tx) -> Result<void> {
        for (const auto& [id, at] : seen)
            CONSIGN_CHECK(tx.execute("UPDATE agents SET last_seen=$2 WHERE id=$1", {id, at}));
        return {};
    });
    if (!stored)
        log::warn("cannot store when agents were last seen", {{"error", to_string(stored.error())}});
}

net::Async<> maintain(Core& core) {
    std::map<AgentId, Time> written;
    WaitWatch waits;
    for (int tick = 1; !co_await net::cancelled(); ++tick) {
        co_await net::sleep_for(std::chrono::seconds(1));
        co_await advance_jobs(core);
        if (tick % 3600 == 0)
            if (const auto expired = co_await core.registry->expire_uploads(); !expired)
                log::error("cannot remove old uploads", {{"error", to_string(expired.error())}});
        if (tick % 10 == 0) co_await waits.look(core);
        if (tick % 30 == 0) co_await store_last_seen(core, written);
    }
}

} // namespace

struct Ims::Impl {
    // Members end in the reverse order: the server (and all its coroutines) before what they use.
    std::optional<DirectoryLock> lock;
    std::unique_ptr<net::BlockingPool> pool;
    Core core;
    std::unique_ptr<Api> api;
    std::unique_ptr<Gateway> gateway;
    std::unique_ptr<net::Server> server;
    std::unique_ptr<net::IoThread> background;
    std::stop_source stop_background;
    std::thread maintainer;
    std::string owner_token;

    net::Async<net::Response> route(net::Request& request) {
        const bool registry = request.path == "/v2" || request.path.starts_with("/v2/");
        if (registry) co_return co_await gateway->handle(request);
        co_return co_await api->handle(request);
    }
    static net::Async<Result<void>> maintain_until_stopped(Core& core) {
        co_await maintain(core);
        co_return Result<void>{};
    }
    void stop() {
        stop_background.request_stop();
        if (maintainer.joinable()) maintainer.join();
        background.reset();
        core.registry_runs.reset();
    }
};

Ims::Ims() : impl_(std::make_unique<Impl>()) {}

Ims::~Ims() {
    if (impl_->server) impl_->server->drain(std::chrono::seconds(0));
    impl_->stop();
}

Result<std::unique_ptr<Ims>> Ims::start(ImsOptions options) {
    std::unique_ptr<Ims> ims(new Ims);
    Impl& impl = *ims->impl_;
    Core& core = impl.core;
    core.options = options;

    CONSIGN_CHECK(make_directories(options.data, 0700));
    CONSIGN_TRY(lock, DirectoryLock::acquire(options.data));
    impl.lock.emplace(std::move(lock));
    CONSIGN_TRY(db, store::open_sqlite(options.data / "ims.db", migrations()));
    core.db = std::move(db);
    CONSIGN_TRY(logs, LogStore::open(options.data / "logs.db"));
    core.logs = std::move(logs);
    impl.pool = std::make_unique<net::BlockingPool>(2);
    CONSIGN_TRY(registry, oci::Registry::open(
                              options.data / "registry", *impl.pool,
                              {.quota_bytes = options.registry.quota_bytes,
                               .repository_quota_bytes = options.registry.repository_quota_bytes,
                               .free_floor_bytes = options.registry.free_floor_bytes,
                               .clock = &core.clock}));
    core.registry = std::move(registry);
    core.registry_runs = std::make_unique<RegistryRuns>(*core.registry, *core.db, core.clock);
    if (!options.vendor_registry.url.empty()) {
        CONSIGN_TRY(external, ExternalRegistry::open(options.vendor_registry));
        core.external = std::move(external);
    }
    CONSIGN_TRY(vendor, load_vendor(options.data, *core.db, core.clock.now()));
    core.vendor = std::move(vendor);
    CONSIGN_TRY(owner, ensure_owner(options.data, *core.db, core.clock.now()));
    impl.owner_token = owner;
    CONSIGN_CHECK(core.db->read_blocking([&](store::Connection& c) { return core.directory.load(c); }));
    CONSIGN_CHECK(core.db->write_blocking([&](store::Transaction& tx) -> Result<void> {
        Effects nobody_waits_yet;
        Change change(tx, core.clock.now(), nobody_waits_yet);
        CONSIGN_CHECK(schedules::arrange_all(change, options.schedule));
        return jobs::extend_leases(change, options.lease);
    }));

    impl.api = std::make_unique<Api>(core);
    impl.gateway = std::make_unique<Gateway>(core);
    CONSIGN_TRY(server, net::Server::bind({.address = options.listen_address,
                                           .port = options.listen_port,
                                           .threads = options.threads,
                                           .tls_certificate_file = options.tls_certificate_file,
                                           .tls_key_file = options.tls_key_file},
                                          [&impl](net::Request& request) { return impl.route(request); }));
    impl.server = std::move(server);
    core.public_url = options.public_url;
    if (core.public_url.empty()) {
        const bool any = options.listen_address == "0.0.0.0" || options.listen_address == "::";
        const bool v6 = options.listen_address.contains(':');
        core.public_url = std::format("{}://{}:{}", options.tls_certificate_file.empty() ? "http" : "https",
                                      any  ? "127.0.0.1"
                                      : v6 ? "[" + options.listen_address + "]"
                                           : options.listen_address,
                                      impl.server->port());
    }
    while (core.public_url.ends_with('/')) core.public_url.pop_back();
    impl.server->start();
    impl.background = std::make_unique<net::IoThread>();
    impl.maintainer = std::thread([&impl] {
        auto ended =
            impl.background->run(Impl::maintain_until_stopped(impl.core), impl.stop_background.get_token());
        if (!ended && ended.error().code != Code::cancelled)
            log::error("maintenance ended", {{"error", to_string(ended.error())}});
    });
    return ims;
}

std::uint16_t Ims::port() const { return impl_->server->port(); }
const std::string& Ims::public_url() const { return impl_->core.public_url; }
const std::string& Ims::new_owner_token() const { return impl_->owner_token; }

void Ims::drain(std::chrono::milliseconds grace) {
    impl_->server->drain(grace);
    impl_->stop();
}

} // namespace consign::ims
