#include "installs.hpp"
#include "apps.hpp"
#include "consign/model/inputs.hpp"
#include <format>

namespace consign::ims::installs {
namespace {

using protocol::InstallComponentView;

constexpr std::string_view kSelect =
    "SELECT id, name, app, inputs, agent, release, created_at FROM installs ";

Install from_row(const store::Row& row) {
    Install install{.id = row.id<InstallId>(0), .name = row.string(1), .app = row.string(2)};
    if (auto inputs = json::decode_text<std::map<std::string, json::Value>>(row.text(3)))
        install.inputs = std::move(*inputs);
    install.agent = row.id<AgentId>(4);
    install.release = row.string(5);
    install.created_at = row.time(6);
    return install;
}

} // namespace

Result<Install> get(store::Connection& c, std::string_view name) {
    CONSIGN_TRY(row, c.query_one(std::string(kSelect) + "WHERE name=$1", {name}, from_row));
    if (!row)
        return fail(Code::not_found, std::format("no install is named '{}'", name),
                    "see: consign install list");
    return std::move(*row);
}

Result<Install> by_id(store::Connection& c, const InstallId& id) {
    CONSIGN_TRY(row, c.query_one(std::string(kSelect) + "WHERE id=$1", {id}, from_row));
    if (!row) return fail(Code::not_found, "no install " + id.str());
    return std::move(*row);
}

Result<std::vector<Install>> list(store::Connection& c) {
    return c.query_all(std::string(kSelect) + "ORDER BY name", {}, from_row);
}

Result<std::vector<InstallComponentView>> components(store::Connection& c, const Install& install) {
    return c.query_all(
        "SELECT component, release, digest, state, detail, job, updated_at, health, drift FROM install_components "
        "WHERE install=$1 ORDER BY component",
        {install.id}, [](const store::Row& row) {
            InstallComponentView view{.component = row.string(0), .release = row.string(1)};
            if (auto digest = Digest::parse(row.text(2))) view.artifact = *digest;
            view.state = row.string(3);
            view.detail = row.string(4);
            if (!row.is_null(5)) view.job = row.id<JobId>(5);
            view.updated_at = row.time(6);
            view.health = row.string(7);
            view.drift = row.string(8);
            return view;
        });
}

Result<protocol::InstallView> view(store::Connection& c, const Install& install) {
    protocol::InstallView out{.id = install.id,
                              .name = install.name,
                              .app = install.app,
                              .inputs = install.inputs,
                              .release = install.release,
                              .created_at = install.created_at};
    if (install.agent) out.agent = install.agent;
    CONSIGN_TRY(app, apps::get(c, install.app));
    for (auto& [name, value] : out.inputs)
        if (const auto declared = app.config.inputs.find(name);
            declared == app.config.inputs.end() || declared->second.sensitive)
            value = "(sensitive)";
    CONSIGN_TRY(parts, components(c, install));
    out.components = std::move(parts);
    return out;
}

Result<Install> create(Change& change, const protocol::CreateInstallRequest& request,
                       std::string_view actor) {
    if (!model::is_name(request.name))
        return fail(Code::invalid_argument, std::format("'{}' is not an install name", request.name),
                    "use a-z, 0-9 and '-', at most 63, beginning and ending with a letter or digit");
    CONSIGN_TRY(app, apps::get(change.tx, request.app));
    CONSIGN_CHECK(model::resolve_inputs(app.config, request.inputs));
    Install install{.id = InstallId::make(change.now),
                    .name = request.name,
                    .app = app.name,
                    .inputs = request.inputs,
                    .created_at = change.now};
    auto stored =
        change.tx.execute("INSERT INTO installs(id, name, app, inputs, created_at) VALUES ($1,$2,$3,$4,$5)",
                          {install.id, install.name, install.app, json::to_text(install.inputs), change.now});
    if (!stored && stored.error().code == Code::conflict)
        return fail(Code::conflict, std::format("an install named '{}' exists already", request.name),
                    "choose another name, or see: consign install show " + request.name);
    if (!stored) return std::unexpected(stored.error());
    CONSIGN_CHECK(change.audit(actor, "install.create", install.name));
    CONSIGN_CHECK(change.event({.kind = "install.created", .app = install.app, .install = install.id.str()}));
    return install;
}

Result<Install> set_inputs(Change& change, std::string_view name,
                           const std::map<std::string, json::Value>& inputs, std::string_view actor) {
    CONSIGN_TRY(install, get(change.tx, name));
    CONSIGN_TRY(app, apps::get(change.tx, install.app));
    std::string changed;
    for (const auto& [key, value] : inputs) {
        install.inputs[key] = value;
        changed += (changed.empty() ? "" : ", ") + key;
    }
    CONSIGN_CHECK(model::resolve_inputs(app.config, install.inputs));
    CONSIGN_CHECK(change.tx.execute("UPDATE installs SET inputs=$2 WHERE id=$1",
                                    {install.id, json::to_text(install.inputs)}));
    CONSIGN_CHECK(change.audit(actor, "install.set_inputs", install.name, changed));
    return std::move(install);
}

Result<void> set_component(Change& change, const InstallId& install, const InstallComponentView& component) {
    CONSIGN_CHECK(change.tx.execute(
        "INSERT INTO install_components(install, component, release, digest, state, detail, job, updated_at) "
        "VALUES ($1,$2,$3,$4,$5,$6,$7,$8) ON CONFLICT(install, component) DO UPDATE SET "
        "release=excluded.release, "
        "digest=excluded.digest, state=excluded.state, detail=excluded.detail, job=excluded.job, "
        "updated_at=excluded.updated_at, health='', drift=''",
        {install, component.component, component.release,
         component.artifact ? store::Value(component.artifact->str()) : store::Value(nullptr),
         component.state, component.detail, component.job, change.now}));
    return {};
}

Result<void> set_release(Change& change, const InstallId& install, std::string_view release) {
    CONSIGN_CHECK(change.tx.execute("UPDATE installs SET release=$2 WHERE id=$1", {install, release}));
    return {};
}

} // namespace consign::ims::installs
