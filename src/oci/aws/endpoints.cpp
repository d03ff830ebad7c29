#include "endpoints.hpp"
#include <algorithm>

namespace consign::oci::aws {

namespace {

struct Partition {
    std::string_view region_prefix; ///< of the regions that are in it; the last row takes all others
    std::string_view suffix;        ///< of the services' names
    std::string_view dual_stack;    ///< of the services' dual-stack names
    std::string_view registry;      ///< of the registries' dual-stack names
};
constexpr Partition kPartitions[] = {
    {"cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn", "on.amazonwebservices.com.cn"},
    {"us-isob-", "sc2s.sgov.gov", "", ""},
    {"us-iso-", "c2s.ic.gov", "", ""},
    {"us-isof-", "csp.hci.ic.gov", "", ""},
    {"eu-isoe-", "cloud.adc-e.uk", "", ""},
    {"eusc-", "amazonaws.eu", "api.amazonwebservices.eu", "on.amazonwebservices.eu"},
    {"", "amazonaws.com", "api.aws", "on.aws"},
};

const Partition& partition_of(std::string_view region) {
    return *std::ranges::find_if(kPartitions,
                                 [&](const Partition& p) { return region.starts_with(p.region_prefix); });
}

std::string_view take_label(std::string_view& host) {
    const auto label = host.substr(0, host.find('.'));
    host.remove_prefix(std::min(label.size() + 1, host.size()));
    return label;
}

bool is_on(const Environment& environment, std::string_view name) {
    return value_of(environment, name) == "true";
}

/// An endpoint that the environment names, or an empty optional.
Result<std::optional<net::Url>> configured(const Environment& environment, std::string_view service) {
    if (is_on(environment, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")) return std::nullopt;
    for (const auto& name : {"AWS_ENDPOINT_URL_" + std::string(service), std::string("AWS_ENDPOINT_URL")})
        if (const auto text = value_of(environment, name); !text.empty()) {
            auto url = net::Url::parse(text);
            if (!url) return std::unexpected(with_context(std::move(url).error(), name));
            return *url;
        }
    return std::nullopt;
}

net::Url https(std::string host) {
    return {.scheme = "https", .host = std::move(host), .port = 443, .target = "/"};
}

} // namespace

std::string value_of(const Environment& environment, std::string_view name) {
    const auto found = environment.find(std::string(name));
    return found == environment.end() ? std::string() : found->second;
}

bool is_region(std::string_view text) {
    return !text.empty() && text.size() <= 63 && text.front() != '-' && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    });
}

std::optional<EcrHost> parse_ecr_host(std::string_view host) {
    EcrHost out;
    out.account = take_label(host);
    const bool digits = std::ranges::all_of(out.account, [](char c) { return c >= '0' && c <= '9'; });
    if (out.account.size() != 12 || !digits) return std::nullopt;
    auto kind = std::string(take_label(host));
    if (kind == "dkr") kind += "." + std::string(take_label(host));
    out.fips = kind.ends_with("-fips");
    if (out.fips) kind.resize(kind.size() - 5);
    out.dual_stack = kind == "dkr-ecr";
    if (!out.dual_stack && kind != "dkr.ecr") return std::nullopt;
    out.region = take_label(host);
    if (!is_region(out.region)) return std::nullopt;
    const auto& partition = partition_of(out.region);
    const auto suffix = out.dual_stack ? partition.registry : partition.suffix;
    if (suffix.empty() || host != suffix) return std::nullopt;
    return out;
}

Result<net::Url> ecr_endpoint(const EcrHost& host, const Environment& environment) {
    CONSIGN_TRY(given, configured(environment, "ECR"));
    if (given) return *given;
    const auto& partition = partition_of(host.region);
    if (host.dual_stack)
        return https((host.fips ? "ecr-fips." : "ecr.") + host.region + "." +
                     std::string(partition.dual_stack));
    return https((host.fips ? "ecr-fips." : "api.ecr.") + host.region + "." + std::string(partition.suffix));
}

Result<net::Url> sts_endpoint(std::string_view region, const Environment& environment) {
    CONSIGN_TRY(given, configured(environment, "STS"));
    if (given) return *given;
    const auto& partition = partition_of(region);
    const bool dual_stack = is_on(environment, "AWS_USE_DUALSTACK_ENDPOINT") && !partition.dual_stack.empty();
    return https((is_on(environment, "AWS_USE_FIPS_ENDPOINT") ? "sts-fips." : "sts.") + std::string(region) +
                 "." + std::string(dual_stack ? partition.dual_stack : partition.suffix));
}

} // namespace consign::oci::aws
