#include "apps.hpp"
#include <algorithm>
#include <charconv>
#include <format>
#include <mutex>
#include <unordered_map>

namespace consign::ims::apps {
namespace {

using protocol::AppView;
using protocol::ReleaseView;

constexpr std::string_view kAppSelect =
    "SELECT a.id, a.name, a.config_version, a.updated_at, c.config FROM apps a "
    "JOIN app_configs c ON c.app = a.id AND c.version = a.config_version ";

/// Parsing a config costs more than most of what is done with it: the latest ones used are kept. By their text: a
/// version's number says nothing before it is committed. Any thread.
class Configs {
  public:
    Result<model::AppConfig> parse(std::string_view text) {
        const auto key = sha256_hex(text);
        {
            const std::lock_guard lock(mutex_);
            if (const auto found = parsed_.find(key); found != parsed_.end()) return *found->second;
        }
        CONSIGN_TRY(config, json::decode_text<model::AppConfig>(text));
        const std::lock_guard lock(mutex_);
        if (parsed_.size() >= kKept) parsed_.clear();
        parsed_[key] = std::make_shared<const model::AppConfig>(config);
        return std::move(config);
    }

  private:
    static constexpr std::size_t kKept = 64;
    std::mutex mutex_;
    std::unordered_map<std::string, std::shared_ptr<const model::AppConfig>> parsed_;
};

Result<model::AppConfig> parse_config(std::string_view text) {
    static Configs configs;
    return configs.parse(text);
}

Result<AppView> view_of(const store::Row& row) {
    AppView view{.id = row.id<AppId>(0),
                 .name = row.string(1),
                 .config_version = static_cast<int>(row.integer(2)),
                 .updated_at = row.time(3)};
    CONSIGN_TRY(config, parse_config(row.text(4)));
    view.config = std::move(config);
    return view;
}

ReleaseView release_of(const store::Row& row) {
    ReleaseView view{.id = row.id<ReleaseId>(0),
                     .app = row.string(1),
                     .version = row.string(2),
                     .config_version = static_cast<int>(row.integer(3)),
                     .created_at = row.time(5)};
    if (auto components = json::decode_text<std::vector<protocol::ReleaseComponent>>(row.text(4)))
        view.components = std::move(*components);
    return view;
}
constexpr std::string_view kReleaseSelect =
    "SELECT id, app, version, config_version, components, created_at FROM releases ";

/// The next whole number after the versions there are.
std::string next_version(const std::vector<ReleaseView>& existing) {
    int highest = 0;
    for (const auto& release : existing) {
        int number = 0;
        std::from_chars(release.version.data(), release.version.data() + release.version.size(), number);
        highest = std::max(highest, number);
    }
    return std::to_string(highest + 1);
}

bool is_version(std::string_view text) {
    return !text.empty() && text.size() <= 64 && std::isalnum(static_cast<unsigned char>(text.front())) &&
           std::ranges::all_of(text, [](unsigned char c) {
               return std::isalnum(c) || c == '.' || c == '-' || c == '_' || c == '+';
           });
}

} // namespace

Result<std::vector<AppView>> list(store::Connection& c) {
    CONSIGN_TRY(rows, c.query_all(std::string(kAppSelect) + "ORDER BY a.name", {}, view_of));
    std::vector<AppView> out;
    for (auto& row : rows) {
        CONSIGN_TRY(view, std::move(row));
        out.push_back(std::move(view));
    }
    return out;
}

Result<AppView> get(store::Connection& c, std::string_view name) {
    CONSIGN_TRY(row, c.query_one(std::string(kAppSelect) + "WHERE a.name=$1", {name}, view_of));
    if (!row)
        return fail(Code::not_found, std::format("no app is named '{}'", name), "see: consign app list");
    return std::move(*row);
}

Result<model::AppConfig> config_at(store::Connection& c, const AppId& app, int version) {
    CONSIGN_TRY(text, c.query_one("SELECT config FROM app_configs WHERE app=$1 AND version=$2",
                                  {app, version}, [](const store::Row& row) { return row.string(0); }));
    if (!text)
        return fail(Code::not_found, std::format("app {} has no config version {}", app.str(), version));
    return parse_config(*text);
}

Result<AppView> apply(Change& change, const model::AppConfig& config, std::string_view toml,
                      std::string_view actor) {
    const std::string text = json::to_text(config);
    auto existing = get(change.tx, config.app);
    if (!existing && existing.error().code != Code::not_found) return existing;
    if (existing && json::to_text(existing->config) == text) return existing;

    const AppId id = existing ? existing->id : AppId::make(change.now);
    const int version = existing ? existing->config_version + 1 : 1;
    if (existing)
        CONSIGN_CHECK(change.tx.execute("UPDATE apps SET config_version=$2, updated_at=$3 WHERE id=$1",
                                        {id, version, change.now}));
    else
        CONSIGN_CHECK(
            change.tx.execute("INSERT INTO apps(id, name, config_version, updated_at) VALUES ($1,$2,$3,$4)",
                              {id, config.app, version, change.now}));
    CONSIGN_CHECK(change.tx.execute(
        "INSERT INTO app_configs(app, version, config, toml, actor, created_at) VALUES ($1,$2,$3,$4,$5,$6)",
        {id, version, text, toml, actor, change.now}));
    CONSIGN_CHECK(change.audit(actor, "app.apply", config.app, std::format("config version {}", version)));
    CONSIGN_CHECK(change.event(
        {.kind = "app.applied", .app = config.app, .detail = std::format("config version {}", version)}));
    CONSIGN_TRY(view, get(change.tx, config.app));
    view.changed = true;
    return std::move(view);
}

Result<std::vector<ReleaseView>> releases(store::Connection& c, std::string_view app) {
    CONSIGN_CHECK(get(c, app));
    return c.query_all(std::string(kReleaseSelect) + "WHERE app=$1 ORDER BY id DESC", {app}, release_of);
}

Result<ReleaseView> release(store::Connection& c, std::string_view app, std::string_view version) {
    CONSIGN_TRY(all, releases(c, app));
    if (all.empty())
        return fail(Code::not_found, std::format("app '{}' has no release", app),
                    std::format("make one: consign release create {}", app));
    if (version.empty()) return std::move(all.front());
    std::vector<std::string> known;
    for (auto& candidate : all) {
        if (candidate.version == version) return std::move(candidate);
        known.push_back(candidate.version);
    }
    const auto near = model::nearest(version, known);
    return fail(Code::not_found, std::format("app '{}' has no release '{}'", app, version),
                near ? std::format("did you mean {}?", *near)
                     : std::format("see: consign release list {}", app));
}

Result<ReleaseView> create_release(Change& change, std::string_view app_name, std::string version) {
    CONSIGN_TRY(app, get(change.tx, app_name));
    CONSIGN_TRY(existing, releases(change.tx, app_name));
    if (version.empty()) version = next_version(existing);
    if (!is_version(version))
        return fail(
            Code::invalid_argument, std::format("'{}' is not a release version", version),
            "use letters, digits, '.', '-', '_' and '+', at most 64, beginning with a letter or digit");
    if (std::ranges::any_of(existing, [&](const auto& r) { return r.version == version; }))
        return fail(
            Code::conflict,
            std::format("app '{}' has a release {} already; releases never change", app_name, version),
            "give another --version, or none for the next number");

    ReleaseView view{.id = ReleaseId::make(change.now),
                     .app = app.name,
                     .version = std::move(version),
                     .config_version = app.config_version,
                     .created_at = change.now};
    std::string missing;
    for (const auto& component : app.config.components) {
        CONSIGN_TRY(build,
                    change.tx.query_one(
                        "SELECT id, repository, digest FROM builds WHERE app=$1 AND component=$2 AND "
                        "state='succeeded' ORDER BY id DESC LIMIT 1",
                        {app.name, component.name}, [&](const store::Row& row) {
                            return protocol::ReleaseComponent{
                                .component = component.name,
                                .build = row.id<BuildId>(0),
                                .artifact = {row.string(1), Digest::parse(row.text(2)).value_or(Digest{})}};
                        }));
        if (build)
            view.components.push_back(std::move(*build));
        else
            missing += (missing.empty() ? "" : ", ") + component.name;
    }
    if (!missing.empty())
        return fail(Code::conflict, std::format("not built yet: {}", missing),
                    std::format("build first: consign build {} --wait", app_name));
    CONSIGN_CHECK(change.tx.execute(
        "INSERT INTO releases(id, app, version, config_version, components, created_at) VALUES "
        "($1,$2,$3,$4,$5,$6)",
        {view.id, view.app, view.version, view.config_version, json::to_text(view.components), change.now}));
    CONSIGN_CHECK(change.event({.kind = "release.created", .app = view.app, .detail = view.version}));
    return view;
}

} // namespace consign::ims::apps
