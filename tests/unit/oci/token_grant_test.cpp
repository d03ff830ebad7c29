#include "consign/oci/token_grant.hpp"
#include <catch2/catch.hpp>

using namespace consign;
using namespace consign::oci;

namespace {

const auto kPull = std::set<Action>{Action::pull};
const auto kPush = std::set<Action>{Action::pull, Action::push};
const auto kAll = std::set<Action>{Action::pull, Action::push, Action::delete_};

Grant everywhere(std::set<Action> actions) {
    return {.scopes = {{.repository = "*", .actions = std::move(actions), .only = {}}}};
}
Grant ask(const Grant& allowed, std::vector<std::string> scopes) { return narrow(allowed, scopes); }

} // namespace

TEST_CASE("a grant is narrowed to what was asked for", "[oci]") {
    struct Row {
        std::set<Action> allowed;
        std::vector<std::string> scopes;
        std::string want;
    };
    const auto row = GENERATE(values<Row>({
        {kAll, {}, ""},
        {kAll, {"repository:a:pull"}, "repository:a:pull"},
        {kPull, {"repository:a:pull,push"}, "repository:a:pull"},
        {kPull, {"repository:a:push"}, ""},
        {kAll, {"repository:a:*"}, "repository:a:pull,push,delete"},
        {kPush, {"repository:a:*"}, "repository:a:pull,push"},
        {kAll, {"repository:a:pull", "repository:b/c:push"}, "repository:a:pull repository:b/c:push"},
        {kAll, {"repository:a:pull repository:b:pull"}, "repository:a:pull repository:b:pull"},
        {kAll, {"repository:a:pull", "repository:a:push"}, "repository:a:pull,push"},
        {kAll, {"repository(plugin):a:pull"}, "repository:a:pull"},
        {kAll, {"repository:*:pull", "repository:A:pull", "repository::pull", "a", "", "::", "x:a:pull"}, ""},
        {kAll, {"registry:catalog:*"}, ""},
    }));
    CAPTURE(row.scopes);
    CHECK(to_scope(ask(everywhere(row.allowed), row.scopes)) == row.want);
}

TEST_CASE("a grant for one artifact stays one", "[oci]") {
    const auto root = Digest::sha256_of("root");
    const Grant allowed{.scopes = {{.repository = "a", .actions = kPull, .only = root}}};
    const auto got = ask(allowed, {"repository:a:pull,push repository:b:pull"});
    REQUIRE(got.scopes.size() == 1);
    CHECK(got.scopes[0].repository == "a");
    CHECK(got.scopes[0].only == root);
    CHECK(got.scopes[0].actions == kPull);
}

TEST_CASE("the catalog is granted to those who may see it", "[oci]") {
    auto allowed = everywhere(kAll);
    allowed.catalog = true;
    CHECK(ask(allowed, {"registry:catalog:*"}).catalog);
    CHECK(to_scope(ask(allowed, {"repository:a:pull registry:catalog:*"})) ==
          "repository:a:pull registry:catalog:*");
    CHECK(!ask(allowed, {"repository:a:pull"}).catalog);
}

TEST_CASE("what is granted fits into a token, however much is asked for", "[oci]") {
    std::vector<std::string> scopes;
    for (int i = 0; i < 1000; ++i)
        scopes.push_back("repository:" + std::string(200, 'x') + std::to_string(i) + ":pull");
    const auto got = ask(everywhere(kAll), scopes);
    CHECK(got.scopes.size() > 10);
    auto claims = json::Value::object();
    add_claims(claims, got);
    CHECK(json::dump(claims).size() <= kTokenGrantBytes);
}

TEST_CASE("a grant survives its way through the claims of a token", "[oci]") {
    const Grant grant{.scopes = {{.repository = "a", .actions = kPush, .only = {}},
                                 {.repository = "b", .actions = kPull, .only = Digest::sha256_of("x")}},
                      .catalog = true};
    auto claims = json::Value::object();
    add_claims(claims, grant);
    const auto back = grant_of_claims(claims);
    REQUIRE(back);
    CHECK(back->catalog);
    CHECK(to_scope(*back) == to_scope(grant));
    CHECK(back->scopes[1].only == grant.scopes[1].only);
    CHECK(grant_of_claims(json::Value::object())->scopes.empty());
}

TEST_CASE("claims of another form are refused", "[oci]") {
    const auto text =
        GENERATE(R"({"access":"repository:a:pull"})", R"({"access":[1]})", R"({"access":[{}]})",
                 R"({"access":[{"repository":"a","actions":"pull"}]})",
                 R"({"access":[{"repository":"a","actions":[],"only":"sha256:x"}]})", R"({"catalog":"yes"})");
    CAPTURE(text);
    CHECK(!grant_of_claims(json::parse(text).value()));
}

TEST_CASE("an action that nobody knows allows nothing", "[oci]") {
    const auto claims =
        json::parse(R"({"access":[{"repository":"a","actions":["*","PULL","fly"]}]})").value();
    CHECK(grant_of_claims(claims)->scopes[0].actions.empty());
}
