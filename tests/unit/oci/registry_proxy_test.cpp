// A registry with a login behind a proxy with other rights.
#include "consign/oci/registry_proxy.hpp"
#include "registry_site.hpp"
#include "oci/upload_seal.hpp"

using namespace consign;
using namespace consign::oci;
using namespace consign::oci::testing;

namespace {

struct Front {
    Site& upstream;
    net::IoThread account_io;
    std::unique_ptr<RegistryAccount> account;
    Grant grant = everything();
    std::unique_ptr<RegistryProxy> proxy;
    std::unique_ptr<net::Server> server;

    explicit Front(Site& site, std::string password = "secret") : upstream(site) {
        const auto host = site.base().substr(7);
        AccountOptions options{.registry = site.base() + "/team",
                               .environment = {{"CONSIGN_REGISTRY_HOST", host},
                                               {"CONSIGN_REGISTRY_USERNAME", "owner"},
                                               {"CONSIGN_REGISTRY_PASSWORD", password}}};
        account = account_io.run(open(account_io.executor(), &account_io.blocking(), options)).value();
        proxy = std::make_unique<RegistryProxy>(
            *account, [this](const net::Request&) { return give(this); }, RegistryServerOptions{},
            Secret<std::string>("key"));
        server =
            std::move(net::Server::bind({}, [this](net::Request& r) { return proxy->handle(r); }).value());
        server->start();
    }
    ~Front() {
        server->drain(std::chrono::seconds(1));
        server.reset();
        (void)account_io.run(drop(&account));
    }
    std::string base() const { return "http://127.0.0.1:" + std::to_string(server->port()); }
    std::unique_ptr<Repository> remote(std::string name) {
        return open_remote(*upstream.client, {.registry = net::Url::parse(base()).value()}, std::move(name));
    }
    Site::Answer send(net::Verb verb, std::string path, std::string body = {}, Site::Fields fields = {}) {
        net::ClientRequest request{.verb = verb, .url = net::Url::parse(base() + path).value()};
        request.body = std::move(body);
        for (auto& [name, value] : fields) request.headers.set(name, value);
        auto answer = upstream.io.run(exchange(upstream.client.get(), std::move(request)));
        if (!answer) FAIL(to_string(answer.error()));
        return std::move(*answer);
    }

    static net::Async<Result<std::unique_ptr<RegistryAccount>>>
    open(net::Executor executor, net::BlockingPool* pool, AccountOptions options) {
        co_return RegistryAccount::open(executor, *pool, std::move(options));
    }
    static net::Async<Result<void>> drop(std::unique_ptr<RegistryAccount>* account) {
        account->reset();
        co_return Result<void>{};
    }
    static net::Async<Result<Grant>> give(Front* front) { co_return front->grant; }
    static net::Async<Result<Site::Answer>> exchange(net::Client* client, net::ClientRequest request) {
        CONSIGN_CO_TRY(response, co_await client->send(std::move(request)));
        CONSIGN_CO_TRY(body, co_await net::read_all(*response.body, 64u << 20));
        co_return Site::Answer{
            .status = response.status, .headers = response.headers, .body = std::move(body)};
    }
};

Grant only(const Digest& root) {
    return {.scopes = {{.repository = "shop/web", .actions = {Action::pull}, .only = root}}};
}

} // namespace

TEST_CASE("proxy: an artifact goes up and comes down whole, below the prefix, with our login") {
    Site site;
    site.policy.tokens = GENERATE(false, true);
    CAPTURE(site.policy.tokens);
    Front front(site);
    const std::string big(3'000'000, 'b');
    auto through = front.remote("shop/web");
    const auto one = push_artifact(site.io, *through, {"small", big}, "");
    const auto root = make_index({one});
    REQUIRE(site.io.run(put(through.get(), root, "v1")));

    auto there = site.local("team/shop/web");
    CHECK(site.io.run(there->fetch_manifest({.tag = "v1", .digest = {}})).value().body == root.body);
    auto back = site.layout("back");
    REQUIRE(site.io.run(copy(*front.remote("shop/web"), {.tag = "v1", .digest = {}}, *back, "v1")));
    CHECK(site.io.run(fetch_text(back.get(), describe_blob(big))) == big);

    const auto blob = "/v2/shop/web/blobs/" + describe_blob(big).digest.str();
    const auto head = front.send(net::Verb::head, blob);
    CHECK(head.status == 200);
    CHECK(head.header("Content-Length") == "3000000");
    const auto part = front.send(net::Verb::get, blob, {}, {{"Range", "bytes=10-19"}});
    CHECK(part.status == 206);
    CHECK(part.header("Content-Range") == "bytes 10-19/3000000");
    CHECK(part.body == std::string(10, 'b'));
    const auto tags = front.send(net::Verb::get, "/v2/shop/web/tags/list");
    CHECK(json::parse(tags.body).value() == json::Value{{"name", "shop/web"}, {"tags", {"v1"}}});
    CHECK(front.send(net::Verb::get, "/v2/shop/web/manifests/nope").code() == "MANIFEST_UNKNOWN");
    CHECK(front.send(net::Verb::delete_, "/v2/shop/web/manifests/v1").status == 202);
    CHECK(front.send(net::Verb::get, "/v2/shop/web/manifests/v1").status == 404);
}

TEST_CASE("proxy: pages of tags go on here") {
    Site site;
    Front front(site);
    auto there = site.local("team/shop/web");
    for (const char* tag : {"a", "b", "c"}) push_artifact(site.io, *there, {tag}, tag);
    auto page = front.send(net::Verb::get, "/v2/shop/web/tags/list?n=2");
    CHECK(page.header("Link") == "</v2/shop/web/tags/list?n=2&last=b>; rel=\"next\"");
    page = front.send(net::Verb::get, "/v2/shop/web/tags/list?n=2&last=b");
    CHECK(json::parse(page.body).value().at("tags") == json::Value{"c"});
}

TEST_CASE("proxy: a grant for one artifact reads its closure and nothing else") {
    Site site;
    Front front(site);
    auto there = site.local("team/shop/web");
    const auto mine = push_artifact(site.io, *there, {"mine"}, "v1");
    const auto other = push_artifact(site.io, *there, {"other"}, "v2");
    const auto index = make_index({mine});
    REQUIRE(site.io.run(put(there.get(), index, "v3")));
    front.grant = only(index.descriptor.digest);
    const auto get = [&](std::string_view what) {
        return front.send(net::Verb::get, "/v2/shop/web/" + std::string(what));
    };
    CHECK(get("manifests/" + index.descriptor.digest.str()).body == index.body);
    CHECK(get("manifests/" + mine.descriptor.digest.str()).body == mine.body);
    CHECK(get("blobs/" + describe_blob("mine").digest.str()).body == "mine");
    CHECK(get("manifests/" + other.descriptor.digest.str()).status == 404);
    CHECK(get("blobs/" + describe_blob("other").digest.str()).status == 404);
    CHECK(get("blobs/" + mine.descriptor.digest.str()).status == 404); // a manifest is no blob
    CHECK(get("manifests/v3").status == 403);
    CHECK(get("tags/list").status == 403);
    CHECK(get("referrers/" + mine.descriptor.digest.str()).status == 200);
    CHECK(front.send(net::Verb::post, "/v2/shop/web/blobs/uploads/").status == 403);
    CHECK(front.send(net::Verb::put, "/v2/shop/web/manifests/v9", "{}").status == 403);
    CHECK(front.send(net::Verb::delete_, "/v2/shop/web/manifests/v1").status == 403);
    CHECK(front.send(net::Verb::get, "/v2/shop/other/manifests/" + mine.descriptor.digest.str()).status ==
          403);
}

TEST_CASE("proxy: uploads in chunks, in one request, and by mount") {
    Site site;
    Front front(site);
    const std::string text = "0123456789";
    const auto digest = describe_blob(text).digest.str();
    SECTION("chunks") {
        auto answer = front.send(net::Verb::post, "/v2/shop/web/blobs/uploads/");
        REQUIRE(answer.status == 202);
        answer = front.send(net::Verb::patch, answer.header("Location"), text.substr(0, 4),
                            {{"Content-Range", "0-3"}});
        REQUIRE(answer.status == 202);
        CHECK(answer.header("Range") == "0-3");
        const auto status = front.send(net::Verb::get, answer.header("Location"));
        CHECK(status.status == 204);
        CHECK(status.header("Range") == "0-3");
        const auto misfit =
            front.send(net::Verb::patch, answer.header("Location"), "x", {{"Content-Range", "9-9"}});
        CHECK(misfit.status == 416);
        answer = front.send(net::Verb::put, answer.header("Location") + "?digest=" + digest, text.substr(4));
        CHECK(answer.status == 201);
        CHECK(answer.header("Location") == "/v2/shop/web/blobs/" + digest);
    }
    SECTION("one request") {
        const auto answer = front.send(net::Verb::post, "/v2/shop/web/blobs/uploads/?digest=" + digest, text);
        CHECK(answer.status == 201);
    }
    SECTION("mount") {
        REQUIRE(site.io.run(push_text(site.local("team/shop/base").get(), text)));
        const auto answer =
            front.send(net::Verb::post, "/v2/shop/web/blobs/uploads/?mount=" + digest + "&from=shop/base");
        CHECK(answer.status == 201);
    }
    SECTION("not by mount, from where the caller may not read") {
        REQUIRE(site.io.run(push_text(site.local("team/secret").get(), text)));
        front.grant = {
            .scopes = {{.repository = "shop/web", .actions = {Action::pull, Action::push}, .only = {}}}};
        const auto answer =
            front.send(net::Verb::post, "/v2/shop/web/blobs/uploads/?mount=" + digest + "&from=secret");
        CHECK(answer.status == 202);
        CHECK(front.send(net::Verb::get, "/v2/shop/web/blobs/" + digest).status == 404);
        return;
    }
    CHECK(front.send(net::Verb::get, "/v2/shop/web/blobs/" + digest).body == text);
    CHECK(site.io.run(fetch_text(site.local("team/shop/web").get(), describe_blob(text))) == text);
}

TEST_CASE("proxy: nobody but us says where an upload goes on") {
    Site site;
    Front front(site);
    const auto begun = front.send(net::Verb::post, "/v2/shop/web/blobs/uploads/");
    const auto sealed = begun.header("Location").substr(std::string("/v2/shop/web/blobs/uploads/").size());
    CHECK(front.send(net::Verb::get, "/v2/shop/other/blobs/uploads/" + sealed).status == 404);
    auto forged = sealed;
    forged.back() = forged.back() == 'A' ? 'B' : 'A';
    CHECK(front.send(net::Verb::get, "/v2/shop/web/blobs/uploads/" + forged).status == 404);
    const UploadSeal other(Secret<std::string>("another key"));
    const auto elsewhere = other.close("shop/web", "http://127.0.0.1:1/steal");
    CHECK(front.send(net::Verb::put, "/v2/shop/web/blobs/uploads/" + elsewhere + "?digest=x").status == 404);
    CHECK(front.send(net::Verb::put, "/v2/shop/web/blobs/uploads/x?digest=x").status == 404);
}

TEST_CASE("proxy: that upstream refuses our login is our trouble, not the caller's") {
    Site site;
    site.policy.tokens = true;
    Front front(site, "wrong");
    const auto answer = front.send(net::Verb::get, "/v2/shop/web/manifests/v1");
    CHECK(answer.status == 503);
    CHECK(answer.header("WWW-Authenticate").empty());
}
