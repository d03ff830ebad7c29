#include "consign/protocol/naming.hpp"
#include "consign/protocol/user_api.hpp"
#include <catch2/catch.hpp>

using namespace consign;
using namespace consign::protocol;

TEST_CASE("what is sent is what is read", "[protocol]") {
    const Lease lease{.job = JobId::make(from_millis(1)),
                      .epoch = 7,
                      .deadline = from_millis(1'700'000'000'123),
                      .attempt = 2,
                      .kind = JobKind::apply,
                      .log_offset = 99,
                      .spec = {{"a", 1}}};
    const PollResponse response{
        .leases = {lease}, .cancel = {lease.job}, .lost = {}, .next = {.wait_s = 40, .renew_s = 10}};
    const auto again = json::decode_text<PollResponse>(json::to_text(response), json::Unknown::refuse);
    REQUIRE(again);
    CHECK(json::to_text(*again) == json::to_text(response));
    CHECK(again->leases.front().epoch == 7);
    CHECK(again->leases.front().deadline == lease.deadline);
}

TEST_CASE("a server refuses fields it does not know, an agent skips them", "[protocol]") {
    const auto text = R"({"session":"ses_01ARZ3NDEKTSV4RRFFQ69G5FAV","slots":1,"sloots":2})";
    const auto strict = json::decode_text<PollRequest>(text, json::Unknown::refuse);
    REQUIRE_FALSE(strict);
    CHECK(strict.error().message.find("sloots") != std::string::npos);
    CHECK(json::decode_text<PollRequest>(text));
}

TEST_CASE("a missing member and a wrong type are named by their path", "[protocol]") {
    const auto missing = json::decode_text<CompleteRequest>("{}");
    REQUIRE_FALSE(missing);
    CHECK(missing.error().message.find("outcome") != std::string::npos);
    const auto wrong = json::decode_text<PollRequest>(
        R"({"session":"ses_01ARZ3NDEKTSV4RRFFQ69G5FAV","slots":1,"running":[{"job":"job_01ARZ3NDEKTSV4RRFFQ69G5FAV","epoch":"x"}]})");
    REQUIRE_FALSE(wrong);
    CHECK(wrong.error().message.find("running[0].epoch") != std::string::npos);
}

TEST_CASE("repositories are named after app and component", "[protocol]") {
    CHECK(artifact_repository("shop", "web") == "shop/web");
    CHECK(source_repository("shop", "web") == "shop/web/source");
}
