#include "oci/aws/profile_file.hpp"
#include <catch2/catch.hpp>

using namespace consign;
using namespace consign::oci::aws;

namespace {
Profiles config(std::string_view text) {
    return parse_profiles(text, ProfileFileKind::config, "config").value();
}
} // namespace

TEST_CASE("profile file: sections of both files") {
    const auto profiles = config("# what aws configure writes\n"
                                 "[default]\nregion = eu-central-1\noutput=json\n\n"
                                 "[profile build]\r\nrole_arn = arn:aws:iam::1:role/b ; not the old one\r\n"
                                 "source_profile=default\r\n"
                                 "[profile \"with space\"]\nRegion = us-east-1\n"
                                 "[sso-session main]\nsso_start_url = https://x.example\n"
                                 "[services local]\necr =\n  endpoint_url = http://127.0.0.1:1\n");
    CHECK(profiles.size() == 3);
    CHECK(profiles.at("default") == Profile{{"region", "eu-central-1"}, {"output", "json"}});
    CHECK(profiles.at("build").at("role_arn") == "arn:aws:iam::1:role/b");
    CHECK(profiles.at("with space").at("region") == "us-east-1");

    const auto credentials =
        parse_profiles("[build]\naws_access_key_id=A\naws_secret_access_key = a#b=c/+==\n",
                       ProfileFileKind::credentials, "credentials");
    REQUIRE(credentials);
    CHECK(credentials->at("build").at("aws_secret_access_key") == "a#b=c/+==");
}

TEST_CASE("profile file: a second section of the same name is merged, [profile default] beats [default]") {
    CHECK(config("[profile a]\nx=1\ny=1\n[profile a]\nx=2\n").at("a") == Profile{{"x", "2"}, {"y", "1"}});
    CHECK(config("[default]\nx=1\n[profile default]\ny=2\n").at("default") == Profile{{"y", "2"}});
    CHECK(config("[profile default]\ny=2\n[default]\nx=1\n").at("default") == Profile{{"y", "2"}});
}

TEST_CASE("profile file: nested settings are passed over, a value goes on on an indented line") {
    const auto profiles =
        config("[default]\ns3 =\n  max_concurrent_requests = 20\nregion = a\nlong = one\n  two\n");
    CHECK(profiles.at("default") == Profile{{"s3", ""}, {"region", "a"}, {"long", "one\ntwo"}});
    CHECK(config("[default]\nempty = # nothing\n").at("default") == Profile{{"empty", ""}});
}

TEST_CASE("profile file: what is malformed is named with its line") {
    const auto row =
        GENERATE(table<std::string, std::string>({{"region = a\n", "config:1: a setting before"},
                                                  {"\n[default\n", "config:2: a section ends"},
                                                  {"[default]\nregion\n", "config:2: expected"},
                                                  {"[default]\n= a\n", "config:2: a value without"},
                                                  {"[profile  ]\n", ""},
                                                  {"  x = 1\n", "config:1: an indented line"}}));
    const auto parsed = parse_profiles(std::get<0>(row), ProfileFileKind::config, "config");
    CAPTURE(std::get<0>(row));
    if (std::get<1>(row).empty()) {
        CHECK(parsed);
    } else {
        REQUIRE_FALSE(parsed);
        CHECK(parsed.error().message.starts_with(std::get<1>(row)));
    }
}
