#include "credential_sources.hpp"
#include "answers.hpp"
#include "consign/base/file.hpp"
#include "consign/base/subprocess.hpp"
#include "sts.hpp"
#include <format>

namespace consign::oci::aws {

namespace {

constexpr std::size_t kTokenFileLimit = 1u << 20;

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view kSpace = " \t\r\n";
    const auto first = text.find_first_not_of(kSpace);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

Said nothing(std::string why) { return {.credentials = {}, .why_not = std::move(why)}; }

net::Async<Result<std::string>> read_secret_file(const Surroundings& around, std::string path) {
    co_return co_await around.pool.run([path = std::move(path)]() -> Result<std::string> {
        CONSIGN_TRY(text, read_file(path, kTokenFileLimit));
        return std::string(trimmed(text));
    });
}

} // namespace

net::Async<Result<Said>> from_environment(const Surroundings& around) {
    const auto& environment = around.environment;
    Credentials out{.access_key_id = value_of(environment, "AWS_ACCESS_KEY_ID"),
                    .secret_access_key = Secret<std::string>(value_of(environment, "AWS_SECRET_ACCESS_KEY")),
                    .session_token = Secret<std::string>(value_of(environment, "AWS_SESSION_TOKEN")),
                    .source = "the environment"};
    if (out.access_key_id.empty() && out.secret_access_key.empty())
        co_return nothing("AWS_ACCESS_KEY_ID is not set");
    if (out.access_key_id.empty() || out.secret_access_key.empty())
        co_return fail(Code::invalid_argument,
                       std::format("{} is set and {} is not",
                                   out.access_key_id.empty() ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID",
                                   out.access_key_id.empty() ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY"),
                       "set both or neither");
    co_return Said{.credentials = std::move(out)};
}

namespace {

struct WebIdentity {
    std::string role_arn, token_file, session_name;
};

net::Async<Result<Credentials>> assume_with_token(const Surroundings& around, WebIdentity identity) {
    // Read anew each time: the cluster replaces the file before the token in it ends.
    CONSIGN_CO_TRY(token, co_await read_secret_file(around, identity.token_file));
    if (token.empty())
        co_return fail(Code::invalid_argument, "the token file " + identity.token_file + " is empty");
    CONSIGN_CO_TRY(region, co_await find_region(around));
    CONSIGN_CO_TRY(url, sts_endpoint(region, around.environment));
    co_return co_await assume_role_with_web_identity(
        around.client, around.clock, {url, region},
        {.role_arn = identity.role_arn,
         .session_name = identity.session_name.empty() ? "consign" : identity.session_name},
        Secret<std::string>(token));
}

} // namespace

net::Async<Result<Said>> from_web_identity(const Surroundings& around) {
    const auto& environment = around.environment;
    WebIdentity identity{.role_arn = value_of(environment, "AWS_ROLE_ARN"),
                         .token_file = value_of(environment, "AWS_WEB_IDENTITY_TOKEN_FILE"),
                         .session_name = value_of(environment, "AWS_ROLE_SESSION_NAME")};
    if (identity.token_file.empty()) co_return nothing("AWS_WEB_IDENTITY_TOKEN_FILE is not set");
    if (identity.role_arn.empty())
        co_return fail(Code::invalid_argument, "AWS_WEB_IDENTITY_TOKEN_FILE is set and AWS_ROLE_ARN is not");
    CONSIGN_CO_TRY(credentials, co_await assume_with_token(around, std::move(identity)));
    co_return Said{.credentials = credentials};
}

// The shared files.

std::string profile_name(const Environment& environment) {
    const auto name = value_of(environment, "AWS_PROFILE");
    return name.empty() ? "default" : name;
}

namespace {

std::string file_of(const Environment& environment, std::string_view variable, std::string_view below_home) {
    if (auto path = value_of(environment, variable); !path.empty()) return path;
    const auto home = value_of(environment, "HOME");
    return home.empty() ? std::string() : home + std::string(below_home);
}

Result<Profiles> load_one(const std::string& path, ProfileFileKind kind) {
    if (path.empty()) return Profiles{};
    auto text = read_file(path, kTokenFileLimit);
    if (!text && text.error().code == Code::not_found) return Profiles{};
    if (!text) return std::unexpected(std::move(text).error());
    return parse_profiles(*text, kind, path);
}

} // namespace

Result<Profiles> load_profiles(const Environment& environment) {
    CONSIGN_TRY(config,
                load_one(file_of(environment, "AWS_CONFIG_FILE", "/.aws/config"), ProfileFileKind::config));
    CONSIGN_TRY(credentials,
                load_one(file_of(environment, "AWS_SHARED_CREDENTIALS_FILE", "/.aws/credentials"),
                         ProfileFileKind::credentials));
    Profiles out = std::move(config);
    for (auto& [name, profile] : credentials)
        for (auto& [setting, value] : profile) out[name].insert_or_assign(setting, value);
    return out;
}

namespace {

net::Async<Result<Profiles>> read_profiles(const Surroundings& around) {
    co_return co_await around.pool.run(
        [environment = around.environment] { return load_profiles(environment); });
}

net::Async<Result<Credentials>> run_process(const Surroundings& around, std::string command) {
    auto output = co_await around.pool.run([command,
                                            environment = around.environment]() -> Result<std::string> {
        constexpr std::size_t kOutputLimit = 1u << 20;
        std::string text;
        // Its errors may be long and are not for our parser; whoever runs it by hand sees them.
        CONSIGN_TRY(status, consign::run({.argv = {"/bin/sh", "-c", "eval \"$1\" 2>/dev/null", "sh", command},
                                          .environment = environment},
                                         [&](std::string_view piece) {
                                             text += piece.substr(0, kOutputLimit -
                                                                         std::min(text.size(), kOutputLimit));
                                         },
                                         {}, {.timeout = std::chrono::minutes(1)}));
        if (!status.ok())
            return fail(Code::failed, "credential_process ended with " + status.describe(),
                        "run it by hand: " + command);
        return text;
    });
    if (!output) co_return std::unexpected(std::move(output).error());
    auto credentials = read_process_credentials(*output);
    if (!credentials)
        co_return std::unexpected(with_context(std::move(credentials).error(), "credential_process"));
    credentials->source = "credential_process";
    co_return std::move(*credentials);
}

/// Follows source_profile from role to role.
class ProfileResolver {
  public:
    ProfileResolver(const Surroundings& around, const Profiles& profiles)
        : around_(around), profiles_(profiles) {}

    net::Async<Result<Credentials>> resolve(std::string name, int depth = 0) {
        constexpr int kDepthLimit = 8;
        const auto found = profiles_.find(name);
        if (found == profiles_.end())
            co_return fail(Code::not_found, "there is no profile '" + name + "'", "see ~/.aws/config");
        if (depth > kDepthLimit)
            co_return fail(Code::invalid_argument, "source_profile of '" + name + "' leads in a circle");
        auto out = co_await of(name, found->second, depth);
        if (!out) co_return std::unexpected(with_context(std::move(out).error(), "profile '" + name + "'"));
        if (!out->source.starts_with("profile")) out->source = "profile '" + name + "', " + out->source;
        co_return std::move(*out);
    }

  private:
    static std::string setting(const Profile& profile, const char* name) {
        const auto found = profile.find(name);
        return found == profile.end() ? std::string() : found->second;
    }

    static Credentials keys_of(const Profile& profile) {
        return {.access_key_id = setting(profile, "aws_access_key_id"),
                .secret_access_key = Secret<std::string>(setting(profile, "aws_secret_access_key")),
                .session_token = Secret<std::string>(setting(profile, "aws_session_token")),
                .source = "its keys"};
    }
    static bool has_keys(const Profile& profile) {
        return profile.contains("aws_access_key_id") && profile.contains("aws_secret_access_key");
    }

    net::Async<Result<Credentials>> of(std::string name, const Profile& profile, int depth) {
        // A profile that names itself as its source has the keys for its own role.
        const bool inner = depth > 0 && has_keys(profile) && setting(profile, "source_profile") == name;
        if (profile.contains("role_arn") && !inner) co_return co_await role(std::move(name), profile, depth);
        if (has_keys(profile)) co_return keys_of(profile);
        if (const auto command = setting(profile, "credential_process"); !command.empty())
            co_return co_await run_process(around_, command);
        if (profile.contains("sso_session") || profile.contains("sso_start_url"))
            co_return fail(Code::unsupported, "IAM Identity Center (sso_…) is not supported directly",
                           "use: credential_process = aws configure export-credentials --profile " + name);
        co_return fail(Code::not_found,
                       "it has no credentials: no aws_access_key_id, role_arn or credential_process");
    }

    net::Async<Result<Credentials>> role(std::string name, const Profile& profile, int depth) {
        if (profile.contains("mfa_serial"))
            co_return fail(Code::unsupported, "mfa_serial is not supported: nobody is here to type a code");
        AssumeRole request{.role_arn = setting(profile, "role_arn"),
                           .session_name = setting(profile, "role_session_name"),
                           .external_id = setting(profile, "external_id")};
        if (const auto file = setting(profile, "web_identity_token_file"); !file.empty())
            co_return co_await assume_with_token(around_, {request.role_arn, file, request.session_name});
        CONSIGN_CO_TRY(caller, co_await source(std::move(name), profile, depth));
        std::string region = setting(profile, "region");
        if (region.empty()) {
            CONSIGN_CO_TRY(found, co_await find_region(around_));
            region = found;
        }
        CONSIGN_CO_TRY(url, sts_endpoint(region, around_.environment));
        co_return co_await assume_role(around_.client, around_.clock, {url, region}, std::move(caller),
                                       std::move(request));
    }

    /// Who assumes the role.
    net::Async<Result<Credentials>> source(std::string name, const Profile& profile, int depth) {
        if (const auto other = setting(profile, "source_profile"); !other.empty())
            co_return co_await resolve(other, depth + 1);
        const auto kind = setting(profile, "credential_source");
        const Source from = kind == "Environment"           ? from_environment
                            : kind == "Ec2InstanceMetadata" ? from_instance
                            : kind == "EcsContainer"        ? from_container
                                                            : nullptr;
        if (!from)
            co_return fail(Code::invalid_argument,
                           "role_arn needs source_profile, web_identity_token_file or credential_source = "
                           "Environment, Ec2InstanceMetadata or EcsContainer");
        CONSIGN_CO_TRY(said, co_await from(around_));
        if (!said.credentials)
            co_return fail(Code::unauthenticated, "credential_source = " + kind + ": " + said.why_not);
        co_return std::move(*said.credentials);
    }

    const Surroundings& around_;
    const Profiles& profiles_;
};

} // namespace

net::Async<Result<Said>> from_profile(const Surroundings& around) {
    CONSIGN_CO_TRY(profiles, co_await read_profiles(around));
    const auto name = profile_name(around.environment);
    // A default profile that says other things (a region) is no reason to stop here.
    const bool chosen = around.environment.contains("AWS_PROFILE");
    if (!chosen) {
        const auto found = profiles.find(name);
        if (found == profiles.end()) co_return nothing("there is no profile 'default'");
        const auto has = [&](const char* setting) { return found->second.contains(setting); };
        if (!has("aws_access_key_id") && !has("role_arn") && !has("credential_process") &&
            !has("sso_session") && !has("sso_start_url"))
            co_return nothing("the profile 'default' has no credentials");
    }
    ProfileResolver resolver(around, profiles);
    CONSIGN_CO_TRY(credentials, co_await resolver.resolve(name));
    co_return Said{.credentials = credentials};
}

net::Async<Result<std::string>> find_region(const Surroundings& around) {
    for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION"})
        if (auto region = value_of(around.environment, name); !region.empty()) {
            if (!is_region(region))
                co_return fail(Code::invalid_argument, std::format("{}={} is no region", name, region));
            co_return region;
        }
    if (const auto profiles = co_await read_profiles(around))
        if (const auto found = profiles->find(profile_name(around.environment)); found != profiles->end())
            if (const auto region = found->second.find("region");
                region != found->second.end() && is_region(region->second))
                co_return region->second;
    auto region = co_await instance_region(around);
    if (region) co_return std::move(*region);
    co_return fail(Code::invalid_argument,
                   "no AWS region is set, and the instance says none: " + region.error().message,
                   "set AWS_REGION");
}

} // namespace consign::oci::aws
