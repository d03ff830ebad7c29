// The commands as a user meets them, against a fake IMS.
#include "fake_ims.hpp"
#include <fstream>

using namespace consign;
using namespace consign::cli;
using namespace consign::cli::test;

namespace {

const auto kNow = SystemClock().now();
constexpr auto kToml =
    "app = \"shop\"\n[inputs.port]\ntype = \"number\"\ndefault = 8080\n[[component]]\nname = \"web\"\n"
    "type = \"bundle\"\nsource = \"./web\"\n[component.run]\nservice = [\"./serve\", \"{{ inputs.port "
    "}}\"]\n";

AppView shop() {
    return {.id = AppId::make(kNow),
            .name = "shop",
            .config_version = 3,
            .changed = true,
            .updated_at = kNow - std::chrono::minutes(3),
            .config = model::parse_app_config(kToml, "consign.toml").value()};
}

std::string write_toml(const TemporaryDirectory& scratch, std::string_view text) {
    const auto file = (scratch.path() / "consign.toml").string();
    std::ofstream(file) << text;
    return file;
}

} // namespace

TEST_CASE("lists are tables for people and JSON for programs") {
    FakeIms ims;
    ims.on("GET /v1/apps", List<AppView>{{shop()}});
    const auto table = run_against(ims, {"app", "list"});
    CHECK(table.code == 0);
    CHECK(table.out == "APP   VERSION  COMPONENTS  CHANGED    ABOUT\nshop  3        1           3 min ago\n");
    const auto printed = run_against(ims, {"app", "list", "-o", "json"});
    const auto value = json::parse(printed.out).value();
    CHECK(value["items"][0]["name"] == "shop");
    CHECK(printed.out.starts_with("{\n  \"items\": [\n"));
    CHECK(printed.err.empty());
}

TEST_CASE("an empty list says how to begin, beside the result") {
    FakeIms ims;
    ims.on("GET /v1/apps", List<AppView>{});
    const auto ran = run_against(ims, {"app", "list"});
    CHECK(ran.code == 0);
    CHECK(ran.out.empty());
    CHECK(ran.err.find("consign app apply") != std::string::npos);
}

TEST_CASE("app apply shows every fault and sends nothing") {
    FakeIms ims;
    const auto scratch = TemporaryDirectory::make("cli-test-").value();
    const auto file =
        write_toml(scratch, "app = \"shop\"\ncolour = 1\n[[component]]\nname = \"web\"\nsource = \"./web\"\n"
                            "type = \"bundle\"\ndepends_on = [\"dbb\"]\n");
    const auto ran = run_against(ims, {"app", "apply", "-f", file});
    CHECK(ran.code == 1);
    CHECK(std::ranges::count(ran.err, '\n') == 2);
    CHECK(ran.err.find(file + ":2:1") != std::string::npos);
    CHECK(ran.err.find("dbb") != std::string::npos);
    CHECK(ims.calls().empty());
    CHECK(run_against(ims, {"app", "apply", "-f", file + ".missing"}).code == 3);
}

TEST_CASE("app apply says whether anything changed") {
    FakeIms ims;
    const auto scratch = TemporaryDirectory::make("cli-test-").value();
    auto view = shop();
    ims.on("PUT /v1/apps/shop", view);
    view.changed = false;
    ims.on("PUT /v1/apps/shop", view);
    const auto file = write_toml(scratch, kToml);
    CHECK(run_against(ims, {"app", "apply", "-f", file}).out == "shop: config version 3\n");
    CHECK(run_against(ims, {"app", "apply", "-f", file}).out == "shop: config version 3, unchanged\n");
}

TEST_CASE("inputs are typed by the app") {
    FakeIms ims;
    ims.on("GET /v1/apps/shop", shop());
    ims.on("POST /v1/installs", InstallView{.id = InstallId::make(kNow), .name = "acme", .app = "shop"});
    CHECK(run_against(ims, {"install", "create", "acme", "--app", "shop", "--input", "port=9090"}).code == 0);
    CHECK(ims.was_called(R"(POST /v1/installs {"app":"shop","inputs":{"port":9090},"name":"acme"})"));
    const auto wrong = run_against(
        ims, {"install", "create", "acme", "--app", "shop", "--input", "port=x", "--input", "prt=1"});
    CHECK(wrong.code == 1);
    CHECK(wrong.err.find("port") != std::string::npos);
    CHECK(wrong.err.find("prt") != std::string::npos);
}

TEST_CASE("install enroll prints the command alone") {
    FakeIms ims;
    ims.on("POST /v1/installs/acme/enroll-token",
           EnrollTokenView{.token = "t",
                           .expires_at = kNow + std::chrono::hours(2),
                           .command = "consign install-agent --enroll t"});
    const auto ran = run_against(ims, {"install", "enroll", "acme", "--ttl", "2h"});
    CHECK(ran.out == "consign install-agent --enroll t\n");
    CHECK(ims.was_called(R"(POST /v1/installs/acme/enroll-token {"ttl_s":7200})"));
}

TEST_CASE("problems become messages and exit codes") {
    FakeIms ims;
    const auto missing = run_against(ims, {"app", "show", "shp"});
    CHECK(missing.code == 3);
    CHECK(missing.err == "consign: no /v1/apps/shp\n");
    const auto wrong = run_words({"status"}, {{"CONSIGN_URL", ims.url()}, {"CONSIGN_TOKEN", "other"}});
    CHECK(wrong.code == 4);
    CHECK(wrong.err.find("CONSIGN_TOKEN") != std::string::npos);
    const auto none = run_words({"status"}, {{"CONSIGN_URL", ims.url()}});
    CHECK(none.code == 4);
    CHECK(none.err.starts_with("consign: no token\n"));
    const auto nobody =
        run_words({"status"}, {{"CONSIGN_URL", "http://127.0.0.1:1"}, {"CONSIGN_TOKEN", "t"}});
    CHECK(nobody.code == 6);
    CHECK(run_words({"status"}, {{"CONSIGN_URL", "nonsense"}, {"CONSIGN_TOKEN", "t"}}).code == 1);
}

TEST_CASE("a token that is made is shown once, alone on stdout") {
    FakeIms ims;
    ims.on("POST /v1/tokens",
           TokenView{.id = TokenId::make(kNow), .name = "ci", .role = Role::ci, .token = "usr-secret"});
    CHECK(run_against(ims, {"user", "create", "ci", "--role", "ci", "--ttl-days", "90"}).out ==
          "usr-secret\n");
    CHECK(ims.was_called(R"(POST /v1/tokens {"name":"ci","role":"ci","ttl_days":90})"));
    const auto id = TokenId::make(kNow).str();
    ims.on("DELETE /v1/tokens/" + id, net::Response::empty(204));
    CHECK(run_against(ims, {"user", "revoke", id}).code == 0);
}

TEST_CASE("a source that is not there fails before anything is sent") {
    FakeIms ims;
    ims.on("GET /v1/apps/shop", shop());
    ims.on("GET /v1/status", StatusView{.ims = "ims", .version = "1", .registry = ims.url()});
    const auto ran = run_against(ims, {"build", "shop", "--source", "/nonexistent"});
    CHECK(ran.code == 3);
    CHECK(ran.err.find("/nonexistent/web") != std::string::npos);
    CHECK_FALSE(ims.was_called("POST"));
    const auto unknown = run_against(ims, {"build", "shop/wep"});
    CHECK(unknown.code == 3);
    CHECK(unknown.err.find("did you mean 'web'?") != std::string::npos);
    CHECK(run_against(ims, {"build", "Shop/"}).code == 2);
}

TEST_CASE("a job that waits says for what") {
    FakeIms ims;
    const auto id = JobId::make(kNow).str();
    ims.on("GET /v1/jobs/" + id,
           JobView{.id = JobId::trusted(id),
                   .kind = JobKind::apply,
                   .app = "shop",
                   .component = "web",
                   .install = "acme",
                   .waiting_for = WaitingFor{.what = "agent acme was last seen 3 min ago", .hint = "start it"},
                   .created_at = kNow});
    const auto ran = run_against(ims, {"job", "show", id});
    CHECK(ran.out.find("waits for  agent acme was last seen 3 min ago (start it)") != std::string::npos);
}

TEST_CASE("events are read page by page") {
    FakeIms ims;
    ims.on("GET /v1/events", List<EventView>{{{.seq = 1, .at = kNow, .kind = "app.applied", .app = "shop"}}});
    ims.on("GET /v1/events", List<EventView>{{{.seq = 2,
                                               .at = kNow,
                                               .kind = "job.queued",
                                               .app = "shop",
                                               .install = "acme",
                                               .component = "web"}}});
    ims.on("GET /v1/events", List<EventView>{});
    const auto ran = run_against(ims, {"events"});
    CHECK(ran.out.find("shop/web @acme") != std::string::npos);
    CHECK(ims.was_called("GET /v1/events?after=2&wait=0"));
}
