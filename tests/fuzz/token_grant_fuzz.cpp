// Whatever a client asks for, a token gives no more than its holder may do; and what a token says survives
// being written and read.
#include "consign/oci/reference.hpp"
#include "consign/oci/token_grant.hpp"
#include "oci/grant.hpp"
#include <algorithm>
#include <cstdlib>

using namespace consign;
using oci::Action;

namespace {

bool same(const oci::Grant& a, const oci::Grant& b) {
    return a.catalog == b.catalog && std::ranges::equal(a.scopes, b.scopes, [](const auto& x, const auto& y) {
               return x.repository == y.repository && x.actions == y.actions && x.only == y.only;
           });
}

json::Value claims_of(const oci::Grant& grant) {
    auto out = json::Value::object();
    oci::add_claims(out, grant);
    return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);

    // As scopes: each line is one parameter.
    static const auto root = Digest::sha256_of("root");
    const oci::Grant allowed{.scopes = {{.repository = "*", .actions = {Action::pull}, .only = {}},
                                        {.repository = "own", .actions = {Action::push}, .only = {}},
                                        {.repository = "one", .actions = {Action::delete_}, .only = root}}};
    std::vector<std::string> scopes;
    for (std::size_t at = 0; at < input.size();) {
        const auto end = std::min(input.find('\n', at), input.size());
        scopes.emplace_back(input.substr(at, end - at));
        at = end + 1;
    }
    const auto got = oci::narrow(allowed, scopes);
    if (got.catalog) std::abort();
    for (const auto& scope : got.scopes) {
        if (!oci::is_repository_name(scope.repository) || scope.actions.empty()) std::abort();
        if (!input.contains(scope.repository)) std::abort();
        for (const auto action : scope.actions)
            if (!oci::access_to(allowed, scope.repository, action).any()) std::abort();
    }
    const auto claims = claims_of(got);
    if (json::dump(claims).size() > oci::kTokenGrantBytes) std::abort();
    const auto back = oci::grant_of_claims(claims);
    if (!back || !same(*back, got)) std::abort();
    // Asking for what one has gives the same.
    if (!same(oci::narrow(got, std::vector{oci::to_scope(got)}), got)) std::abort();

    // As the claims of a token.
    const auto parsed = json::parse(input);
    if (!parsed || !parsed->is_object()) return 0;
    if (const auto grant = oci::grant_of_claims(*parsed)) {
        const auto again = oci::grant_of_claims(claims_of(*grant));
        if (!again || !same(*again, *grant)) std::abort();
    }
    return 0;
}
