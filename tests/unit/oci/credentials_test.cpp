#include "consign/base/file.hpp"
#include "consign/base/json.hpp"
#include "consign/oci/credentials.hpp"
#include <catch2/catch.hpp>
#include <sys/stat.h>

using namespace consign;
using namespace consign::oci;

namespace {

struct Home {
    TemporaryDirectory directory = std::move(*TemporaryDirectory::make("credentials"));
    std::map<std::string, std::string> environment = {
        {"HOME", directory.path().string()}, {"PATH", directory.path().string() + "/bin:/usr/bin:/bin"}};

    CredentialPlaces places() const { return credential_places(environment); }
    std::filesystem::path docker() const { return directory.path() / ".docker/config.json"; }
    void write(const std::filesystem::path& path, std::string_view text, mode_t mode = 0644) const {
        REQUIRE(make_directories(path.parent_path()));
        REQUIRE(write_file_atomic(path, text, mode));
    }
    /// A helper that logs what it is asked, and answers `script`.
    void helper(const std::string& name, const std::string& script) const {
        write(directory.path() / "bin" / ("docker-credential-" + name),
              "#!/bin/sh\ninput=$(cat)\necho \"$1 $input $*\" >>" +
                  (directory.path() / "helper.log").string() + "\n" + script + "\n",
              0755);
    }
    std::string log() const { return read_file(directory.path() / "helper.log").value_or(""); }
    Credential find(std::string_view registry, std::string_view repository = "") const {
        auto found = find_credential(places(), registry, repository);
        if (!found) FAIL(to_string(found.error()));
        return *found;
    }
};

std::string auth(std::string_view text) { return to_base64(as_bytes(text)); }

} // namespace

TEST_CASE_METHOD(Home, "without any file one is anonymous", "[oci]") {
    CHECK(find("registry.example").anonymous());
}

TEST_CASE_METHOD(Home, "an entry of config.json is found by host, by URL and by path", "[oci]") {
    write(docker(), R"({"auths":{
        "registry.example":{"auth":")" +
                        auth("host:h:1") + R"("},
        "registry.example/team":{"auth":")" +
                        auth("team:t") + R"("},
        "https://old.example/v1/":{"username":"old","password":"o"},
        "https://index.docker.io/v1/":{"auth":")" +
                        auth("hub:x") + R"("},
        "oauth.example":{"auth":")" +
                        auth("00000000:") + R"(","identitytoken":"refresh"},
        "empty.example":{}}})");
    struct Row {
        const char *registry, *repository, *username, *password;
    };
    const auto row = GENERATE(values<Row>({{"registry.example", "", "host", "h:1"},
                                           {"registry.example", "other/app", "host", "h:1"},
                                           {"registry.example", "team/app", "team", "t"},
                                           {"registry.example", "team", "team", "t"},
                                           {"registry.example", "teams/app", "host", "h:1"},
                                           {"registry.example:443", "", "", ""},
                                           {"old.example", "a", "old", "o"},
                                           {"docker.io", "library/x", "hub", "x"},
                                           {"registry-1.docker.io", "library/x", "hub", "x"},
                                           {"empty.example", "a", "", ""}}));
    CAPTURE(row.registry, row.repository);
    const auto found = find(row.registry, row.repository);
    CHECK(found.username == row.username);
    CHECK(found.password.reveal() == row.password);
    CHECK(find("oauth.example").identity_token.reveal() == "refresh");
}

TEST_CASE_METHOD(Home, "files are asked in docker's and podman's order", "[oci]") {
    const auto entry = [](std::string_view user) {
        return R"({"auths":{"r.example":{"auth":")" + auth(std::string(user) + ":p") + R"("}}})";
    };
    write(directory.path() / ".config/containers/auth.json", entry("home"));
    CHECK(find("r.example").username == "home");
    environment["XDG_RUNTIME_DIR"] = (directory.path() / "run").string();
    write(directory.path() / "run/containers/auth.json", entry("runtime"));
    CHECK(find("r.example").username == "runtime");
    write(docker(), entry("docker"));
    CHECK(find("r.example").username == "docker");
    environment["DOCKER_CONFIG"] = (directory.path() / "elsewhere").string();
    CHECK(find("r.example").username == "runtime"); // ~/.docker does not count then
    write(directory.path() / "elsewhere/config.json", entry("elsewhere"));
    CHECK(find("r.example").username == "elsewhere");
    environment["REGISTRY_AUTH_FILE"] = (directory.path() / "mine.json").string();
    write(directory.path() / "mine.json", entry("mine"));
    CHECK(find("r.example").username == "mine");
    environment["CONSIGN_REGISTRY_USERNAME"] = "env";
    environment["CONSIGN_REGISTRY_PASSWORD"] = "secret";
    CHECK(find("r.example").username == "mine"); // nobody said for which registry they are
    environment["CONSIGN_REGISTRY_HOST"] = "other.example";
    CHECK(find("r.example").username == "mine");
    environment["CONSIGN_REGISTRY_HOST"] = "r.example";
    CHECK(find("r.example").username == "env");
    CHECK(find("r.example").password.reveal() == "secret");
}

TEST_CASE_METHOD(Home, "a helper is asked with the host on its standard input", "[oci]") {
    helper("vault", R"(echo noise >&2; echo '{"ServerURL":"r.example","Username":"u","Secret":"s"}')");
    helper("store", R"(echo '{"Username":"<token>","Secret":"refresh"}')");
    write(docker(), R"({"credHelpers":{"r.example":"vault"},"credsStore":"store","auths":{
        "direct.example":{"auth":")" +
                        auth("d:d") + R"("}, "hub.example":{}}})");
    CHECK(find("r.example").username == "u");
    CHECK(find("r.example").password.reveal() == "s");
    CHECK(find("hub.example").identity_token.reveal() == "refresh");
    CHECK(find("direct.example").username == "d");
    CHECK(log().contains("get r.example get\n")); // and nothing else on its command line
    CHECK(log().contains("get hub.example get\n"));
}

TEST_CASE_METHOD(Home, "what a helper does wrong is said, and that it has nothing is not wrong", "[oci]") {
    helper("none", "echo credentials not found in native keychain; exit 1");
    helper("broken", "echo the vault is locked; exit 1");
    helper("odd", "echo '{\"Secret\":\"half a secr'");
    write(docker(), R"({"credHelpers":{"none.example":"none","broken.example":"broken","odd.example":"odd",
        "missing.example":"missing","evil.example":"x;touch /tmp/x"},
        "auths":{"none.example":{"auth":")" +
                        auth("file:f") + R"("}}})");
    CHECK(find("none.example").username == "file");
    const auto broken = find_credential(places(), "broken.example", "");
    REQUIRE(!broken);
    CHECK(broken.error().code == Code::failed);
    CHECK(broken.error().message.contains("the vault is locked"));
    CHECK(find_credential(places(), "missing.example", "").error().message.contains("not in PATH"));
    CHECK(find_credential(places(), "evil.example", "").error().code == Code::invalid_argument);
    const auto odd = find_credential(places(), "odd.example", "");
    REQUIRE(!odd);
    CHECK(!to_string(odd.error()).contains("half"));
}

TEST_CASE_METHOD(Home, "a config that cannot be read is named, not passed over", "[oci]") {
    write(docker(), "{\"auths\":");
    CHECK(find_credential(places(), "r.example", "").error().message.contains(docker().string()));
    write(docker(), R"({"auths":{"r.example":{"auth":"###"}}})");
    CHECK(find_credential(places(), "r.example", "").error().code == Code::invalid_argument);
    CHECK(find("other.example").anonymous());
    write(docker(), "\n");
    CHECK(find("r.example").anonymous());
}

TEST_CASE_METHOD(Home, "storing keeps every other entry and lets nobody else read", "[oci]") {
    write(docker(), R"({"auths":{"a.example":{"auth":")" + auth("a:a") +
                        R"("}},"HttpHeaders":{"X":"1"},"detachKeys":"ctrl-e,e"})");
    const Credential given{.username = "me", .password = Secret<std::string>("pä:ss\n"), .found_in = {}};
    CHECK(store_credential(places(), "b.example:5000", given) == docker().string());
    CHECK(find("a.example").username == "a");
    CHECK(find("b.example:5000").username == "me");
    CHECK(find("b.example:5000").password.reveal() == "pä:ss\n");
    const auto config = json::parse(read_file(docker()).value()).value();
    CHECK(config.at("HttpHeaders").at("X") == "1");
    CHECK(config.at("detachKeys") == "ctrl-e,e");
    struct stat status {};
    REQUIRE(::stat(docker().c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
}

TEST_CASE_METHOD(Home, "storing makes the file, follows a link, and uses the helper that docker would",
                 "[oci]") {
    const Credential given{.username = "me", .password = Secret<std::string>("s'\"$x"), .found_in = {}};
    CHECK(store_credential(places(), "b.example", given) == docker().string());
    CHECK(find("b.example").username == "me");

    const auto real = directory.path() / "dotfiles.json";
    std::filesystem::rename(docker(), real);
    std::filesystem::create_symlink(real, docker());
    CHECK(store_credential(places(), "c.example", given));
    CHECK(std::filesystem::is_symlink(docker()));
    CHECK(find("c.example").username == "me");

    helper("vault", "exit 0");
    write(docker(), R"({"credsStore":"vault"})");
    CHECK(store_credential(places(), "d.example", given) == "docker-credential-vault");
    CHECK(log().contains(R"("Secret":"s'\"$x")"));
    CHECK(!read_file(docker()).value().contains("auths"));
}
