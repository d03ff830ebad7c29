#include "consign/oci/credentials.hpp"
#include "consign/base/file.hpp"
#include "consign/base/json.hpp"
#include "consign/base/subprocess.hpp"
#include <algorithm>
#include <format>
#include <unistd.h>

namespace consign::oci {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFileLimit = 4u << 20;
constexpr std::size_t kAnswerLimit = 1u << 20;
// A helper may ask a cloud's API or a password manager, but nobody will sit and wait longer for it.
constexpr auto kHelperTimeout = std::chrono::seconds(60);
// The user name by which a helper says that its secret is a refresh token.
constexpr std::string_view kTokenUser = "<token>";
constexpr std::string_view kDockerHubKey = "https://index.docker.io/v1/";

std::string value_of(const std::map<std::string, std::string>& environment, const char* name) {
    const auto found = environment.find(name);
    return found == environment.end() ? std::string() : found->second;
}

bool is_docker_hub(std::string_view registry) {
    return registry == "docker.io" || registry == "index.docker.io" || registry == "registry-1.docker.io";
}

/// What helpers and `credHelpers` call the registry.
std::string server_name(std::string_view registry) {
    return std::string(is_docker_hub(registry) ? kDockerHubKey : registry);
}

/// The names an entry of `auths` may have, the most particular first.
std::vector<std::string> entry_names(std::string_view registry, std::string_view repository) {
    std::vector<std::string> out;
    for (std::string path(repository); !path.empty();) {
        out.push_back(std::string(registry) + "/" + path);
        const auto slash = path.rfind('/');
        path.resize(slash == std::string::npos ? 0 : slash);
    }
    out.emplace_back(registry);
    for (const char* scheme : {"https://", "http://"})
        for (const char* end : {"", "/", "/v1/", "/v2/"}) out.push_back(scheme + std::string(registry) + end);
    if (is_docker_hub(registry)) {
        out.emplace_back(kDockerHubKey);
        out.emplace_back("docker.io");
    }
    return out;
}

std::string text_at(const json::Value& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Result<json::Value> load(const fs::path& file) {
    CONSIGN_TRY(text, read_file(file, kFileLimit));
    if (text.find_first_not_of(" \t\r\n") == std::string::npos) return json::Value::object();
    auto parsed = json::parse(text);
    if (!parsed || !parsed->is_object())
        return fail(Code::invalid_argument,
                    file.string() + " is not a JSON object" + (parsed ? "" : ": " + parsed.error().message),
                    "it should be docker's config.json; repair it or move it away");
    return std::move(*parsed);
}

/// An entry of `auths`; anonymous when it says nothing (docker leaves {} there beside a helper).
Result<Credential> from_entry(const json::Value& entry, const std::string& where) {
    Credential out{.found_in = where};
    if (!entry.is_object()) return fail(Code::invalid_argument, where + " is not an object");
    out.identity_token = Secret<std::string>(text_at(entry, "identitytoken"));
    out.username = text_at(entry, "username");
    out.password = Secret<std::string>(text_at(entry, "password"));
    if (const auto packed = text_at(entry, "auth"); !packed.empty()) {
        const auto bytes = from_base64(packed);
        const auto text = bytes ? std::string(as_text(*bytes)) : std::string();
        const auto colon = text.find(':');
        if (colon == std::string::npos)
            return fail(Code::invalid_argument, where + ": 'auth' is not base64 of user:password",
                        "log in again: consign registry login");
        out.username = text.substr(0, colon);
        auto secret = text.substr(colon + 1);
        while (secret.ends_with('\0')) secret.pop_back(); // docker pads with NULs
        out.password = Secret<std::string>(std::move(secret));
    }
    return out;
}

bool is_helper_name(std::string_view name) {
    return !name.empty() && std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
               c == '_' || c == '.';
    });
}

struct HelperAnswer {
    ExitStatus status;
    std::string output;
};

/// Runs docker-credential-NAME with `input` on its standard input. Our children have none, so a shell feeds
/// it: what it feeds comes from the environment, which no other user can read, and `printf` is the shell's
/// own, so that the text stands on no command line.
Result<HelperAnswer> run_helper(const CredentialPlaces& places, const std::string& name,
                                std::string_view verb, std::string input) {
    if (!is_helper_name(name))
        return fail(Code::invalid_argument, "'" + name + "' is not the name of a credential helper");
    auto environment = places.environment;
    environment["CONSIGN_HELPER_INPUT"] = std::move(input);
    const Command command{.argv = {"sh", "-c",
                                   "input=$CONSIGN_HELPER_INPUT; unset CONSIGN_HELPER_INPUT; "
                                   "command -v \"$1\" >/dev/null || exit 127; "
                                   "printf '%s' \"$input\" | \"$1\" \"$2\" 2>/dev/null",
                                   "sh", "docker-credential-" + name, std::string(verb)},
                          .directory = "/",
                          .environment = std::move(environment)};
    std::string output;
    auto status = run(command,
                      [&](std::string_view text) {
                          output += text.substr(0, kAnswerLimit - std::min(kAnswerLimit, output.size()));
                      },
                      {}, {.timeout = kHelperTimeout, .grace = std::chrono::seconds(2)});
    const auto program = "docker-credential-" + name;
    if (!status) return std::unexpected(with_context(std::move(status).error(), program));
    if (status->code == 127)
        return fail(Code::failed, program + " is not in PATH",
                    "install it, or take it out of credsStore and credHelpers in docker's config.json");
    return HelperAnswer{.status = *status, .output = std::move(output)};
}

Result<Credential> from_helper(const CredentialPlaces& places, const std::string& name,
                               std::string_view registry) {
    CONSIGN_TRY(answer, run_helper(places, name, "get", server_name(registry)));
    if (!answer.status.ok()) {
        auto said = answer.output.substr(0, 300);
        while (said.ends_with('\n')) said.pop_back();
        // docker-credential-helpers: errCredentialsNotFoundMessage, and what others say for it.
        if (said.contains("credentials not found") || said.contains("no credentials")) return Credential{};
        return fail(Code::failed,
                    std::format("docker-credential-{} get, {}: {}", name, answer.status.describe(),
                                said.empty() ? "it says nothing" : said),
                    "run it by hand with the registry's host on its standard input");
    }
    const auto parsed = json::parse(answer.output);
    const auto secret = parsed && parsed->is_object() ? text_at(*parsed, "Secret") : std::string();
    if (secret.empty()) // the output may hold half a secret: it is not shown
        return fail(Code::failed, "docker-credential-" + name + " get: the answer has no Secret");
    Credential out{.found_in = "docker-credential-" + name};
    out.username = text_at(*parsed, "Username");
    if (out.username == kTokenUser)
        out.identity_token = Secret<std::string>(secret);
    else
        out.password = Secret<std::string>(secret);
    return out;
}

std::string helper_for(const json::Value& config, std::string_view registry) {
    if (const auto helpers = config.find("credHelpers"); helpers != config.end() && helpers->is_object())
        for (const auto& name : {std::string(registry), server_name(registry)})
            if (auto helper = text_at(*helpers, name.c_str()); !helper.empty()) return helper;
    return {};
}

Result<Credential> from_file(const CredentialPlaces& places, const fs::path& file, std::string_view registry,
                             std::string_view repository) {
    CONSIGN_TRY(config, load(file));
    if (const auto helper = helper_for(config, registry); !helper.empty()) {
        CONSIGN_TRY(found, from_helper(places, helper, registry));
        if (!found.anonymous()) return found;
    }
    if (const auto auths = config.find("auths"); auths != config.end() && auths->is_object())
        for (const auto& name : entry_names(registry, repository)) {
            const auto entry = auths->find(name);
            if (entry == auths->end()) continue;
            CONSIGN_TRY(found, from_entry(*entry, file.string() + " (" + name + ")"));
            if (!found.anonymous()) return found;
        }
    if (const auto store = text_at(config, "credsStore"); !store.empty())
        return from_helper(places, store, registry);
    return Credential{};
}

} // namespace

std::map<std::string, std::string> process_environment() {
    std::map<std::string, std::string> out;
    for (char** entry = environ; entry && *entry; ++entry) {
        const std::string_view text(*entry);
        if (const auto equals = text.find('='); equals != std::string_view::npos && equals > 0)
            out.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
    return out;
}

CredentialPlaces credential_places(std::map<std::string, std::string> environment) {
    CredentialPlaces out;
    const auto add = [&](const std::string& directory, const char* below) {
        if (!directory.empty()) out.files.push_back(fs::path(directory) / below);
    };
    const auto home = value_of(environment, "HOME");
    if (const auto file = value_of(environment, "REGISTRY_AUTH_FILE"); !file.empty())
        out.files.emplace_back(file);
    if (const auto docker = value_of(environment, "DOCKER_CONFIG"); !docker.empty())
        add(docker, "config.json");
    else
        add(home, ".docker/config.json");
    add(value_of(environment, "XDG_RUNTIME_DIR"), "containers/auth.json");
    add(home, ".config/containers/auth.json");
    out.environment_registry = value_of(environment, "CONSIGN_REGISTRY_HOST");
    out.environment = std::move(environment);
    return out;
}

Result<Credential> find_credential(const CredentialPlaces& places, std::string_view registry,
                                   std::string_view repository) {
    if (!registry.empty() && places.environment_registry == registry)
        if (const auto password = value_of(places.environment, "CONSIGN_REGISTRY_PASSWORD");
            !password.empty())
            return Credential{.username = value_of(places.environment, "CONSIGN_REGISTRY_USERNAME"),
                              .password = Secret<std::string>(password),
                              .found_in = "the environment"};
    for (const auto& file : places.files) {
        std::error_code ignored;
        if (!fs::exists(file, ignored)) continue;
        CONSIGN_TRY(found, from_file(places, file, registry, repository));
        if (!found.anonymous()) return found;
    }
    return Credential{};
}

Result<std::string> store_credential(const CredentialPlaces& places, std::string_view registry,
                                     const Credential& credential) {
    if (places.files.empty())
        return fail(Code::invalid_argument, "there is no place for a credential",
                    "set HOME or DOCKER_CONFIG");
    if (credential.username.contains(':'))
        return fail(Code::invalid_argument, "a user name with a ':' cannot be stored in config.json");
    auto file = places.files.front();
    std::error_code failed;
    auto config = json::Value::object();
    if (fs::exists(file, failed)) {
        CONSIGN_TRY(loaded, load(file));
        config = std::move(loaded);
        if (auto real = fs::canonical(file, failed); !failed) file = real; // a link to it stays one
    }
    auto helper = helper_for(config, registry);
    if (helper.empty()) helper = text_at(config, "credsStore");
    if (!helper.empty()) {
        const json::Value entry{{"ServerURL", server_name(registry)},
                                {"Username", credential.username},
                                {"Secret", credential.password.reveal()}};
        CONSIGN_TRY(answer, run_helper(places, helper, "store", json::dump(entry)));
        if (!answer.status.ok())
            return fail(Code::failed, std::format("docker-credential-{} store, {}: {}", helper,
                                                  answer.status.describe(), answer.output.substr(0, 300)));
        return "docker-credential-" + helper;
    }
    auto& auths = config["auths"];
    if (!auths.is_object()) auths = json::Value::object();
    auths[server_name(registry)] = {
        {"auth", to_base64(as_bytes(credential.username + ":" + credential.password.reveal()))}};
    CONSIGN_CHECK(make_directories(file.parent_path(), 0700));
    CONSIGN_CHECK(write_file_atomic(file, json::dump(config, 2) + "\n", 0600));
    return file.string();
}

} // namespace consign::oci
