#include "ims/installs.hpp"
#include "shop.hpp"

using namespace consign;
using namespace consign::ims;

namespace {
struct Customers : Fixture {
    Customers() {
        REQUIRE(change([](Change& c) { return apps::apply(c, shop_config(), "", "ann"); }));
    }
    Result<installs::Install> create(protocol::CreateInstallRequest request) {
        return change([&](Change& c) { return installs::create(c, request, "ann"); });
    }
    Result<installs::Install> set(std::map<std::string, json::Value> inputs, std::string name = "acme") {
        return change([&](Change& c) { return installs::set_inputs(c, name, inputs, "ann"); });
    }
    protocol::InstallView view(std::string name = "acme") {
        return *read([&](store::Connection& c) -> Result<protocol::InstallView> {
            CONSIGN_TRY(install, installs::get(c, name));
            return installs::view(c, install);
        });
    }
    std::size_t total() {
        return read([](store::Connection& c) { return installs::list(c); })->size();
    }
};
} // namespace

TEST_CASE("an install has a name of its own, an app, and inputs that fit", "[installs]") {
    Customers f;
    const auto made = f.create({.name = "acme", .app = "shop", .inputs = {{"port", 80}}});
    REQUIRE(made);
    CHECK(f.view().id == made->id);
    CHECK(f.view().inputs.at("port") == 80);
    CHECK(f.view().release.empty());
    CHECK(f.view().components.empty());

    struct Row {
        protocol::CreateInstallRequest request;
        Code code;
        std::string because;
    };
    const std::vector<Row> rows{
        {{.name = "acme", .app = "shop", .inputs = {{"port", 80}}}, Code::conflict, "exists already"},
        {{.name = "", .app = "shop", .inputs = {{"port", 80}}},
         Code::invalid_argument,
         "not an install name"},
        {{.name = "Acme", .app = "shop", .inputs = {{"port", 80}}}, Code::invalid_argument, "Acme"},
        {{.name = "../x", .app = "shop", .inputs = {{"port", 80}}}, Code::invalid_argument, "../x"},
        {{.name = std::string(64, 'a'), .app = "shop"}, Code::invalid_argument, "not an install name"},
        {{.name = "b", .app = "none"}, Code::not_found, "none"},
        {{.name = "b", .app = "shop"}, Code::invalid_argument, "port"},
        {{.name = "b", .app = "shop", .inputs = {{"port", "eighty"}}}, Code::invalid_argument, "port"},
        {{.name = "b", .app = "shop", .inputs = {{"port", 80}, {"prot", 1}}}, Code::invalid_argument, "prot"},
    };
    for (const auto& row : rows) {
        const auto refused = f.create(row.request);
        REQUIRE_FALSE(refused);
        CAPTURE(row.request.name, refused.error().message);
        CHECK(refused.error().code == row.code);
        CHECK(refused.error().message.find(row.because) != std::string::npos);
    }
    CHECK(f.total() == 1);
}

TEST_CASE("setting inputs replaces those given, keeps the others, and is checked whole", "[installs]") {
    Customers f;
    REQUIRE(f.create({.name = "acme", .app = "shop", .inputs = {{"port", 80}, {"password", "a"}}}));
    REQUIRE(f.set({{"port", 81}}));
    const auto inputs = f.read([](store::Connection& c) { return installs::get(c, "acme"); })->inputs;
    CHECK(inputs.at("port") == 81);
    CHECK(inputs.at("password") == "a");
    CHECK(f.set({{"port", true}}).error().code == Code::invalid_argument);
    CHECK(f.set({{"nothing", 1}}).error().code == Code::invalid_argument);
    CHECK(f.set({{"port", 1}}, "nobody").error().code == Code::not_found);
    CHECK(f.read([](store::Connection& c) { return installs::get(c, "acme"); })->inputs == inputs);
    // The audit log has the names, never the values.
    const auto audit = f.read([](store::Connection& c) {
        return c.query_all("SELECT action, detail FROM audit ORDER BY seq", {},
                           [](const store::Row& row) { return row.string(0) + " " + row.string(1); });
    });
    CHECK(audit->back() == "install.set_inputs port");
}

TEST_CASE("people do not see sensitive values, nor those that no input declares any more", "[installs]") {
    Customers f;
    REQUIRE(f.create({.name = "acme", .app = "shop", .inputs = {{"port", 80}, {"password", "geheim"}}}));
    CHECK(f.view().inputs.at("password") == "(sensitive)");
    auto config = shop_config();
    config.inputs.erase("password");
    REQUIRE(f.change([&](Change& c) { return apps::apply(c, config, "", "ann"); }));
    CHECK(f.view().inputs.at("password") == "(sensitive)");
    CHECK(f.view().inputs.at("port") == 80);
}

TEST_CASE("what runs in an install is kept per component", "[installs]") {
    Customers f;
    const auto made = f.create({.name = "acme", .app = "shop", .inputs = {{"port", 80}}});
    REQUIRE(made);
    const auto set = [&](protocol::InstallComponentView part) {
        REQUIRE(f.change([&](Change& c) { return installs::set_component(c, made->id, part); }));
    };
    set({.component = "web", .release = "1", .artifact = Digest::sha256_of("1"), .state = "running"});
    set({.component = "db", .state = "failed", .detail = "no disk"});
    set({.component = "web", .release = "2", .artifact = Digest::sha256_of("2"), .state = "running"});
    REQUIRE(f.change([&](Change& c) { return installs::set_release(c, made->id, "2"); }));
    const auto view = f.view();
    CHECK(view.release == "2");
    REQUIRE(view.components.size() == 2);
    CHECK(view.components[0].component == "db");
    CHECK(view.components[0].detail == "no disk");
    CHECK_FALSE(view.components[0].artifact);
    CHECK(view.components[1].release == "2");
    CHECK(view.components[1].artifact == Digest::sha256_of("2"));
}
