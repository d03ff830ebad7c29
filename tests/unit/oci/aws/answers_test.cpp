#include "oci/aws/answers.hpp"
#include "oci/aws/xml.hpp"
#include <catch2/catch.hpp>

using namespace consign;
using namespace consign::oci::aws;

TEST_CASE("xml: texts of leaves, entities, attributes, comments") {
    const auto leaves =
        xml_leaves("<?xml version=\"1.0\"?>\n<!-- hello --><a xmlns=\"https://x/\" b='>'>\n"
                   "  <c>1 &lt; 2 &amp;&#x41;&#66;&#x1234;</c><d/><e><f>x</f><f>y</f></e></a>\n");
    REQUIRE(leaves);
    CHECK(*leaves ==
          std::map<std::string, std::string>{{"a/c", "1 < 2 &AB\xe1\x88\xb4"}, {"a/d", ""}, {"a/e/f", "x"}});
}

TEST_CASE("xml: what is malformed or not for us is refused") {
    std::string deep;
    for (int i = 0; i < 40; ++i) deep += "<a>";
    for (int i = 0; i < 40; ++i) deep += "</a>";
    for (const std::string& text :
         {std::string(""), std::string("   "), std::string("text"), std::string("<a>"),
          std::string("<a></b>"), std::string("<a/><b/>"), std::string("<a>&nope;</a>"),
          std::string("<a>&#0;</a>"), std::string("<a>&#xd800;</a>"), std::string("<a b></a>"),
          std::string("<a b=c></a>"), std::string("<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>"),
          std::string("<a><![CDATA[x]]></a>"), std::string("<a"), std::string("</a>"), std::string("<?a"),
          deep}) {
        CAPTURE(text);
        CHECK_FALSE(xml_leaves(text));
    }
}

TEST_CASE("answers: credentials of STS") {
    const auto got = read_sts_credentials(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>"
        "<AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/x/y</Arn></AssumedRoleUser>"
        "<Credentials><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>s/+=</SecretAccessKey>"
        "<SessionToken>t==</SessionToken><Expiration>2030-01-02T03:04:05Z</Expiration></Credentials>"
        "</AssumeRoleResult></AssumeRoleResponse>");
    REQUIRE(got);
    CHECK(got->access_key_id == "ASIA1");
    CHECK(got->secret_access_key.reveal() == "s/+=");
    CHECK(got->session_token.reveal() == "t==");
    CHECK(got->expires_at == parse_rfc3339("2030-01-02T03:04:05Z").value());
    CHECK_FALSE(read_sts_credentials("<AssumeRoleResponse/>"));
    // A token is a header's value: no line may end in it.
    CHECK_FALSE(read_sts_credentials(
        "<R><Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
        "<SessionToken>a&#13;&#10;X: y</SessionToken></Credentials></R>"));
}

TEST_CASE("answers: credentials of the metadata services and of a process") {
    const auto metadata = read_metadata_credentials(
        R"({"Code":"Success","AccessKeyId":"A","SecretAccessKey":"s","Token":"t","Expiration":"2030-01-02T03:04:05Z"})");
    REQUIRE(metadata);
    CHECK(metadata->session_token.reveal() == "t");
    const auto refused =
        read_metadata_credentials(R"({"Code":"AssumeRoleUnauthorizedAccess","Message":"no"})");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message == "AssumeRoleUnauthorizedAccess: no");
    CHECK(read_process_credentials(R"({"Version":1,"AccessKeyId":"A","SecretAccessKey":"s"})"));
    CHECK_FALSE(read_process_credentials(R"({"Version":2,"AccessKeyId":"A","SecretAccessKey":"s"})"));
    CHECK_FALSE(read_process_credentials(R"({"Version":1,"AccessKeyId":"A"})"));
    CHECK_FALSE(read_process_credentials("[]"));
}

TEST_CASE("answers: errors keep their kind and get a code and a hint") {
    auto error =
        read_json_error(R"({"__type":"com.amazonaws.ecr#RepositoryNotFoundException","message":"gone"})", "");
    CHECK(error.type == "RepositoryNotFoundException");
    CHECK(to_error(error, 400, "ecr").code == Code::not_found);
    CHECK(to_error(error, 400, "ecr").message == "ecr: RepositoryNotFoundException: gone");
    error = read_json_error("{}", "ThrottlingException:http://internal/");
    CHECK(error.type == "ThrottlingException");
    CHECK(is_transient(error, 400));
    CHECK(to_error(error, 400, "ecr").code == Code::unavailable);
    error = read_xml_error(
        "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not you</Message>"
        "</Error></ErrorResponse>");
    CHECK(to_error(error, 403, "sts").code == Code::permission_denied);
    CHECK_FALSE(to_error(error, 403, "sts").hint.empty());
    CHECK(to_error(read_json_error("<html>", ""), 503, "ecr").message == "ecr: it answered 503");
    CHECK(to_error(read_json_error("<html>", ""), 503, "ecr").code == Code::unavailable);
}

TEST_CASE("answers: a login and a repository of ECR") {
    const auto login = read_authorization(
        R"({"authorizationData":[{"authorizationToken":"QVdTOnNlY3JldDp4","expiresAt":1.893553445E9,"proxyEndpoint":"https://x"}]})");
    REQUIRE(login);
    CHECK(login->username == "AWS");
    CHECK(login->password.reveal() == "secret:x");
    CHECK(login->expires_at == parse_rfc3339("2030-01-02T03:04:05Z").value());
    for (const char* bad : {"{}", R"({"authorizationData":[]})",
                            R"({"authorizationData":[{"authorizationToken":"QVdT","expiresAt":1}]})",
                            R"({"authorizationData":[{"authorizationToken":"QVdTOng="}]})",
                            R"({"authorizationData":[{"authorizationToken":"QVdTOng=","expiresAt":1e300}]})"})
        CHECK_FALSE(read_authorization(bad));
    const auto made = read_repository(
        R"({"repository":{"repositoryName":"a/b","repositoryArn":"arn:x","repositoryUri":"u"}})");
    REQUIRE(made);
    CHECK(made->arn == "arn:x");
    CHECK(read_repository(R"({"repositories":[{"repositoryName":"a/b","repositoryArn":"arn:y"}]})")->arn ==
          "arn:y");
    CHECK_FALSE(read_repository(R"({"repositories":[]})"));
}
