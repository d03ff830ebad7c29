#pragma once
// A Core as ims.cpp builds it, without a server in front: for what is asynchronous and looks at who calls.
// Its clock is the real one.
#include "consign/base/jwt.hpp"
#include "consign/base/random.hpp"
#include "ims/auth.hpp"
#include "shop.hpp"

namespace consign::ims {

struct CoreFixture {
    TemporaryDirectory directory = *TemporaryDirectory::make("ims-test");
    Core core;
    net::IoThread io; ///< ends before the core

    CoreFixture() {
        core.db = *store::open_sqlite(directory.path() / "ims.db", migrations());
        core.logs = *LogStore::open(directory.path() / "logs.db");
        const auto token_key = PrivateKey::generate();
        core.vendor = {.id = "ims_01ARZ3NDEKTSV4RRFFQ69G5FAV",
                       .token_key = token_key,
                       .token_public_key = token_key.public_key(),
                       .signing_public_key = PrivateKey::generate().public_key()};
        core.options.lease = std::chrono::seconds(45);
        core.public_url = "http://here";
    }

    template <class T>
    Result<T> run(net::Async<Result<T>> work) {
        return io.run(std::move(work));
    }
    /// A change with all its effects, as a request makes it.
    template <class F>
    auto change(F work) {
        return run(core.change(std::move(work)));
    }
    template <class F>
    auto read(F work) {
        return core.db->read_blocking(work);
    }
    std::int64_t count(std::string sql) {
        return **read([&](store::Connection& c) {
            return c.query_one(sql, {}, [](const store::Row& row) { return row.integer(0); });
        });
    }

    protocol::TokenView add_user(protocol::Role role, int ttl_days = 0) {
        auto made = change([&](Change& c) {
            return auth::make_user_token(c, {.name = "ann", .role = role, .ttl_days = ttl_days}, "owner");
        });
        REQUIRE(made);
        return *made;
    }
    struct Agent {
        AgentId id;
        PrivateKey key;
        InstallId install;
    };
    /// Enrolled as agents are: with a token, for one install (which is made) or as a build agent.
    Agent add_agent(const std::string& install = "") {
        Agent agent{.id = {}, .key = PrivateKey::generate(), .install = {}};
        auto enrolled = change([&](Change& c) -> Result<protocol::EnrollResponse> {
            auto kind = protocol::AgentKind::build;
            if (!install.empty()) {
                kind = protocol::AgentKind::install;
                auto known = installs::get(c.tx, install);
                if (!known) known = seed_install(c, install);
                CONSIGN_CHECK(known);
                agent.install = known->id;
            }
            CONSIGN_TRY(token, auth::make_enroll_token(c, kind, agent.install, 600, "ann"));
            return auth::enroll(c, core.vendor,
                                {.token = token.token,
                                 .public_key = agent.key.public_key().to_pem(),
                                 .kind = kind,
                                 .version = "1",
                                 .hostname = "here"});
        });
        REQUIRE(enrolled);
        agent.id = enrolled->agent;
        return agent;
    }
    void revoke(const AgentId& id) {
        REQUIRE(change([&](Change& c) -> Result<void> {
            CONSIGN_CHECK(c.tx.execute("UPDATE agents SET revoked=1 WHERE id=$1", {id}));
            c.effects.agents.insert(id);
            c.effects.tell.insert(id);
            return {};
        }));
    }
    void revoke(const TokenId& id) {
        REQUIRE(change([&](Change& c) -> Result<void> {
            CONSIGN_CHECK(c.tx.execute("UPDATE user_tokens SET revoked=1 WHERE id=$1", {id}));
            c.effects.users = true;
            return {};
        }));
    }
    /// A queued apply job of the install, as far as the engine looks at it.
    JobId add_job(const InstallId& install) {
        const auto id = JobId::make(core.clock.now());
        REQUIRE(change([&](Change& c) -> Result<void> {
            CONSIGN_CHECK(jobs::insert(
                c,
                Job{.id = id,
                    .kind = install.empty() ? protocol::JobKind::build : protocol::JobKind::apply,
                    .app = "shop",
                    .component = "web",
                    .install = install},
                {}));
            return jobs::release_ready(c, id);
        }));
        return id;
    }
    Job job(const JobId& id) {
        return *read([&](store::Connection& c) { return jobs::get(c, id); });
    }
};

} // namespace consign::ims
