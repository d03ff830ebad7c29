#include "consign/oci/token_grant.hpp"
#include "consign/oci/reference.hpp"
#include "grant.hpp"
#include <algorithm>
#include <ranges>

namespace consign::oci {

namespace {

constexpr std::pair<Action, std::string_view> kActions[] = {
    {Action::pull, "pull"}, {Action::push, "push"}, {Action::delete_, "delete"}};
// Far more than any client asks for at once; a bound for what one request costs.
constexpr std::size_t kScopes = 100;

struct AccessClaim {
    std::string repository;
    std::vector<std::string> actions;
    std::optional<Digest> only;
    static constexpr auto fields(auto& self, auto&& f) {
        f("repository", self.repository);
        f("actions", self.actions);
        f("only", self.only);
    }
};
struct GrantClaims {
    std::vector<AccessClaim> access;
    bool catalog = false;
    static constexpr auto fields(auto& self, auto&& f) {
        f("access", self.access, json::kDefaulted);
        f("catalog", self.catalog, json::kDefaulted);
    }
};

/// "type:name:actions"; a name may contain ':' (a host with a port), the others may not.
struct Scope {
    std::string_view type, name, actions;
};
std::optional<Scope> parse_scope(std::string_view text) {
    const auto first = text.find(':'), last = text.rfind(':');
    if (first == std::string_view::npos || first == last) return std::nullopt;
    Scope out{text.substr(0, first), text.substr(first + 1, last - first - 1), text.substr(last + 1)};
    // "repository(plugin)": the class of a resource is nothing that we distinguish.
    if (const auto at = out.type.find('('); at != std::string_view::npos && out.type.ends_with(')'))
        out.type = out.type.substr(0, at);
    return out;
}

bool asks_for(std::string_view actions, std::string_view wanted) {
    return std::ranges::any_of(actions | std::views::split(','), [&](const auto& one) {
        const std::string_view name(one.begin(), one.end());
        return name == wanted || name == "*";
    });
}

/// Adds what `scope` asks for and `allowed` has.
void take(Grant& out, const Grant& allowed, const Scope& scope) {
    if (scope.type == "registry" && scope.name == "catalog") out.catalog |= allowed.catalog;
    if (scope.type != "repository" || !is_repository_name(scope.name)) return;
    for (const auto& [action, name] : kActions) {
        if (!asks_for(scope.actions, name)) continue;
        const auto access = access_to(allowed, scope.name, action);
        const auto add = [&](std::optional<Digest> only) {
            auto found = std::ranges::find_if(out.scopes, [&](const Grant::Scope& have) {
                return have.repository == scope.name && have.only == only;
            });
            if (found == out.scopes.end())
                found = out.scopes.insert(
                    found, {.repository = std::string(scope.name), .actions = {}, .only = only});
            found->actions.insert(action);
        };
        if (access.whole)
            add(std::nullopt);
        else
            for (const auto& root : access.roots) add(root);
    }
}

/// At least what its claims take as JSON.
std::size_t claims_size(const Grant& grant) {
    std::size_t out = 32;
    for (const auto& scope : grant.scopes)
        out += scope.repository.size() + 72 + (scope.only ? scope.only->str().size() + 10 : 0);
    return out;
}

} // namespace

Grant narrow(const Grant& allowed, std::span<const std::string> scopes) {
    Grant out;
    std::size_t left = kScopes;
    for (const auto& list : scopes)
        for (const auto& word : list | std::views::split(' ')) {
            if (left-- == 0) return out;
            const auto scope = parse_scope(std::string_view(word.begin(), word.end()));
            if (!scope) continue;
            auto more = out;
            take(more, allowed, *scope);
            if (claims_size(more) > kTokenGrantBytes) return out;
            out = std::move(more);
        }
    return out;
}

std::string to_scope(const Grant& grant) {
    std::string out;
    for (const auto& scope : grant.scopes) {
        std::string actions;
        for (const auto& [action, name] : kActions)
            if (scope.actions.contains(action)) actions.append(actions.empty() ? "" : ",").append(name);
        out += (out.empty() ? "repository:" : " repository:") + scope.repository + ":" + actions;
    }
    if (grant.catalog) out += out.empty() ? "registry:catalog:*" : " registry:catalog:*";
    return out;
}

void add_claims(json::Value& claims, const Grant& grant) {
    auto access = json::Value::array();
    for (const auto& scope : grant.scopes) {
        auto actions = json::Value::array();
        for (const auto& [action, name] : kActions)
            if (scope.actions.contains(action)) actions.push_back(name);
        json::Value entry{{"repository", scope.repository}, {"actions", std::move(actions)}};
        if (scope.only) entry["only"] = scope.only->str();
        access.push_back(std::move(entry));
    }
    claims["access"] = std::move(access);
    if (grant.catalog) claims["catalog"] = true;
}

Result<Grant> grant_of_claims(const json::Value& claims) {
    CONSIGN_TRY(read, json::decode<GrantClaims>(claims, json::Unknown::skip));
    Grant out{.scopes = {}, .catalog = read.catalog};
    for (auto& entry : read.access) {
        Grant::Scope scope{
            .repository = std::move(entry.repository), .actions = {}, .only = std::move(entry.only)};
        for (const auto& [action, name] : kActions)
            if (std::ranges::find(entry.actions, name) != entry.actions.end()) scope.actions.insert(action);
        out.scopes.push_back(std::move(scope));
    }
    return out;
}

} // namespace consign::oci
