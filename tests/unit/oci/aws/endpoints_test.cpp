#include "oci/aws/credential_sources.hpp"
#include "oci/aws/endpoints.hpp"
#include <catch2/catch.hpp>

using namespace consign;
using namespace consign::oci::aws;

TEST_CASE("endpoints: names of ECR registries, and where their API is") {
    struct Row {
        std::string host;
        EcrHost want;
        std::string api;
    };
    const std::string a = "123456789012";
    const Row rows[] = {
        {a + ".dkr.ecr.eu-central-1.amazonaws.com",
         {a, "eu-central-1", false, false},
         "https://api.ecr.eu-central-1.amazonaws.com"},
        {a + ".dkr.ecr.cn-north-1.amazonaws.com.cn",
         {a, "cn-north-1", false, false},
         "https://api.ecr.cn-north-1.amazonaws.com.cn"},
        {a + ".dkr.ecr-fips.us-gov-west-1.amazonaws.com",
         {a, "us-gov-west-1", true, false},
         "https://ecr-fips.us-gov-west-1.amazonaws.com"},
        {a + ".dkr-ecr.eu-west-1.on.aws", {a, "eu-west-1", false, true}, "https://ecr.eu-west-1.api.aws"},
        {a + ".dkr-ecr-fips.us-east-1.on.aws",
         {a, "us-east-1", true, true},
         "https://ecr-fips.us-east-1.api.aws"},
        {a + ".dkr.ecr.eusc-de-east-1.amazonaws.eu",
         {a, "eusc-de-east-1", false, false},
         "https://api.ecr.eusc-de-east-1.amazonaws.eu"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.host);
        const auto host = parse_ecr_host(row.host);
        REQUIRE(host);
        CHECK(*host == row.want);
        CHECK(ecr_endpoint(*host, {})->origin() == row.api);
    }
}

TEST_CASE("endpoints: other hosts are no ECR registries") {
    for (const char* host :
         {"registry.example", "12345678901.dkr.ecr.eu-west-1.amazonaws.com",
          "a23456789012.dkr.ecr.eu-west-1.amazonaws.com",
          "123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.example",
          "123456789012.dkr.ecr.eu-west-1.on.aws", "123456789012.dkr.ecr.eu-west-1.amazonaws.com.cn",
          "123456789012.ecr.eu-west-1.amazonaws.com", "123456789012.dkr.ecr..amazonaws.com", "public.ecr.aws",
          ""}) {
        CAPTURE(host);
        CHECK_FALSE(parse_ecr_host(host));
    }
}

TEST_CASE("endpoints: the environment's come first, the service's before the general one") {
    const EcrHost host{"123456789012", "eu-west-1"};
    Environment environment{{"AWS_ENDPOINT_URL", "http://127.0.0.1:1"}};
    CHECK(ecr_endpoint(host, environment)->origin() == "http://127.0.0.1:1");
    CHECK(sts_endpoint("eu-west-1", environment)->origin() == "http://127.0.0.1:1");
    environment["AWS_ENDPOINT_URL_ECR"] = "https://vpce-1.example";
    CHECK(ecr_endpoint(host, environment)->origin() == "https://vpce-1.example");
    environment["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"] = "true";
    CHECK(sts_endpoint("eu-west-1", environment)->origin() == "https://sts.eu-west-1.amazonaws.com");
    CHECK(sts_endpoint("cn-north-1", {})->origin() == "https://sts.cn-north-1.amazonaws.com.cn");
    CHECK(sts_endpoint("us-east-1", {{"AWS_USE_FIPS_ENDPOINT", "true"}})->origin() ==
          "https://sts-fips.us-east-1.amazonaws.com");
    CHECK(sts_endpoint("us-east-1", {{"AWS_USE_DUALSTACK_ENDPOINT", "true"}})->origin() ==
          "https://sts.us-east-1.api.aws");
    CHECK_FALSE(ecr_endpoint(host, {{"AWS_ENDPOINT_URL_ECR", "nowhere"}}));
}

TEST_CASE("endpoints: the container's is plain http only where nobody can listen in") {
    const auto of = [](const char* url) {
        return container_endpoint({{"AWS_CONTAINER_CREDENTIALS_FULL_URI", url}});
    };
    CHECK(container_endpoint({})->has_value() == false);
    CHECK((*container_endpoint({{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x"}}))->str() ==
          "http://169.254.170.2/v2/x");
    CHECK_FALSE(container_endpoint({{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "@evil.example/"}}));
    for (const char* good : {"https://anywhere.example/x", "http://127.0.0.1:80/", "http://127.8.9.1/",
                             "http://localhost/x", "http://[::1]/x", "http://169.254.170.2/x",
                             "http://169.254.170.23/v1/credentials", "http://[fd00:ec2::23]/v1/credentials"})
        CHECK(of(good));
    for (const char* bad :
         {"http://example.com/", "http://10.0.0.1/", "http://127.evil.example/", "http://169.254.169.254/",
          "http://127.0.0.1.evil.example/", "ftp://127.0.0.1/"}) {
        CAPTURE(bad);
        CHECK_FALSE(of(bad));
    }
}
