// Upkeep of the embedded registry, for operators.
#include "consign/protocol/registry_api.hpp"
#include "ims/registry_runs.hpp"
#include "ims/routes.hpp"

namespace consign::ims {
namespace {

using Answer = net::Async<Result<net::Response>>;

protocol::RegistryRepositoryUsage view(const oci::RepositoryUsage& usage) {
    const auto number = [](std::uint64_t value) { return static_cast<std::int64_t>(value); };
    return {.repository = usage.repository,
            .tags = number(usage.tags),
            .manifests = number(usage.manifests),
            .blobs = number(usage.blobs),
            .bytes = number(usage.bytes),
            .quota_bytes = number(usage.quota_bytes),
            .immutable_tags = usage.immutable_tags};
}

Answer usage(Call& call) {
    CONSIGN_CO_TRY(found, co_await call.core.registry->usage());
    const auto& limits = call.core.options.registry;
    protocol::RegistryUsage out{.bytes = static_cast<std::int64_t>(found.bytes),
                                .quota_bytes = static_cast<std::int64_t>(limits.quota_bytes),
                                .repository_quota_bytes =
                                    static_cast<std::int64_t>(limits.repository_quota_bytes),
                                .free_bytes = static_cast<std::int64_t>(found.free_bytes),
                                .free_floor_bytes = static_cast<std::int64_t>(limits.free_floor_bytes),
                                .quarantined = static_cast<std::int64_t>(found.quarantined)};
    for (const auto& one : found.repositories) out.repositories.push_back(view(one));
    co_return answer(out);
}

/// The report of a run as it is, or after `wait` seconds, or when the run has ended: what comes first.
template <class Report>
Answer report(Call& call, Result<Report> (RegistryRuns::*read)() const) {
    CONSIGN_CO_TRY(wait_s, call.number("wait", 0, 0, 50));
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(wait_s);
    auto& runs = *call.core.registry_runs;
    for (;;) {
        const auto seen = runs.ended().version();
        CONSIGN_CO_TRY(now, (runs.*read)());
        if (now.state != protocol::RegistryRunState::running) co_return answer(now);
        if (wait_s == 0 || std::chrono::steady_clock::now() >= deadline) co_return answer(now, 202);
        const auto woken = co_await call.request.parking->wait_past(runs.ended(), seen, deadline);
        if (woken == net::Wake::gone) co_return fail(Code::cancelled, "the caller hung up");
        if (woken == net::Wake::draining) wait_s = 0;
    }
}

template <class Request>
net::Async<Result<void>> start(Call& call, std::string what) {
    CONSIGN_CO_TRY(request, call.json<Request>());
    CONSIGN_CO_CHECK(call.core.registry_runs->start(request));
    co_return co_await call.core.change([who = call.caller.name(), what, body = call.body](Change& change) {
        return change.audit(who, what, "registry", body);
    });
}

Answer gc_status(Call& call) { return report(call, &RegistryRuns::gc); }
Answer scrub_status(Call& call) { return report(call, &RegistryRuns::scrub); }
Answer gc(Call& call) {
    CONSIGN_CO_CHECK(call.number("wait", 0, 0, 50)); // before anything is begun
    CONSIGN_CO_CHECK(co_await start<protocol::RegistryGcRequest>(call, "registry.gc"));
    co_return co_await gc_status(call);
}
Answer scrub(Call& call) {
    CONSIGN_CO_CHECK(call.number("wait", 0, 0, 50)); // before anything is begun
    CONSIGN_CO_CHECK(co_await start<protocol::RegistryScrubRequest>(call, "registry.scrub"));
    co_return co_await scrub_status(call);
}

Answer set(Call& call) {
    CONSIGN_CO_TRY(request, call.json<protocol::RegistrySettingsRequest>());
    if (request.quota_bytes && *request.quota_bytes < 0)
        co_return fail(Code::invalid_argument, "quota_bytes is 0 (none of its own) or more");
    oci::RepositorySettings settings{.immutable_tags = request.immutable_tags};
    if (request.quota_bytes) settings.quota_bytes = static_cast<std::uint64_t>(*request.quota_bytes);
    CONSIGN_CO_TRY(now, co_await call.core.registry->set(request.repository, settings));
    CONSIGN_CO_CHECK(co_await call.core.change([who = call.caller.name(), request](Change& change) {
        return change.audit(who, "registry.settings", request.repository, json::to_text(request));
    }));
    co_return answer(view(now));
}

constexpr Parameter kWaitForEnd{"wait", "integer", "seconds to wait for the end of the run, 0 to 50"};

constexpr Route kRoutes[] = {
    {net::Verb::get,
     protocol::kRegistryPath,
     usage,
     Access::operator_,
     "How much the registry holds, and its limits",
     {.gives = kGives<protocol::RegistryUsage>}},
    {net::Verb::put,
     protocol::kRegistrySettingsPath,
     set,
     Access::operator_,
     "Settings of one repository",
     {.takes = kTakes<protocol::RegistrySettingsRequest>,
      .gives = kGives<protocol::RegistryRepositoryUsage>}},
    {net::Verb::post,
     protocol::kRegistryGcPath,
     gc,
     Access::operator_,
     "Collects garbage; 202 while it is on",
     {.takes = kTakes<protocol::RegistryGcRequest>,
      .gives = kGives<protocol::RegistryGcReport>,
      .or_status = 202,
      .query = {{kWaitForEnd}},
      .deadline = kParkedDeadline}},
    {net::Verb::get,
     protocol::kRegistryGcPath,
     gc_status,
     Access::operator_,
     "The collection of garbage that is on, or the last one",
     {.gives = kGives<protocol::RegistryGcReport>,
      .or_status = 202,
      .query = {{kWaitForEnd}},
      .deadline = kParkedDeadline}},
    {net::Verb::post,
     protocol::kRegistryScrubPath,
     scrub,
     Access::operator_,
     "Reads everything again and sets aside what is damaged; 202 while it is on",
     {.takes = kTakes<protocol::RegistryScrubRequest>,
      .gives = kGives<protocol::RegistryScrubReport>,
      .or_status = 202,
      .query = {{kWaitForEnd}},
      .deadline = kParkedDeadline}},
    {net::Verb::get,
     protocol::kRegistryScrubPath,
     scrub_status,
     Access::operator_,
     "The scrub that is on, or the last one",
     {.gives = kGives<protocol::RegistryScrubReport>,
      .or_status = 202,
      .query = {{kWaitForEnd}},
      .deadline = kParkedDeadline}},
};

} // namespace

std::span<const Route> registry_routes() { return kRoutes; }

} // namespace consign::ims
