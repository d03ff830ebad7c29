// The first byte picks a verb, the rest is a path. What matches must be put together again from its
// parameters: the pattern with them filled in and percent-encoded leads to the same route.
#include "consign/net/router.hpp"
#include <array>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    using namespace consign::net;
    static constexpr std::array<std::pair<Verb, std::string_view>, 6> kRoutes{{
        {Verb::get, "/"},
        {Verb::get, "/v1/jobs/{id}"},
        {Verb::get, "/v1/jobs/next"},
        {Verb::post, "/v1/jobs/{id}/complete"},
        {Verb::get, "/v1/{kind}/{id}/logs"},
        {Verb::get, "/v1/apps/{id}/logs"},
    }};
    static const Router router = [] {
        Router made;
        for (std::size_t i = 0; i < kRoutes.size(); ++i) made.add(kRoutes[i].first, kRoutes[i].second, i);
        return made;
    }();
    if (size == 0) return 0;
    const Verb verb = data[0] % 2 == 0 ? Verb::get : Verb::post;
    const auto match = router.match(verb, {reinterpret_cast<const char*>(data) + 1, size - 1});
    if (!match.index) return 0;
    if (!match.allowed.empty() || kRoutes[*match.index].first != verb) std::abort();
    std::string path(kRoutes[*match.index].second);
    for (const auto& [name, value] : match.params) {
        if (value.empty()) std::abort();
        const std::string hole = "{" + name + "}";
        path.replace(path.find(hole), hole.size(), percent_encode(value));
    }
    const auto again = router.match(verb, path);
    // Encoding a literal ("%6eext") may lead to a parameter where the plain text is a literal: then the
    // route differs, and only then.
    if (!again.index) std::abort();
    if (again.index == match.index && again.params != match.params) std::abort();
    return 0;
}
