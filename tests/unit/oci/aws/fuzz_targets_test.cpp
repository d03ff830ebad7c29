// The fuzz targets of this directory on a few thousand changed seeds, so that their promises are kept by
// every test run.
#define LLVMFuzzerTestOneInput aws_profile_fuzz
#include "fuzz/aws_profile_fuzz.cpp"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput aws_answers_fuzz
#include "fuzz/aws_answers_fuzz.cpp"
#undef LLVMFuzzerTestOneInput
#include <catch2/catch.hpp>
#include <random>

namespace {

/// Bytes changed, left out and put in.
void run(int (*target)(const std::uint8_t*, std::size_t), const std::string& seed) {
    std::mt19937 random(7);
    const auto feed = [&](const std::string& text) {
        CHECK(target(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()) == 0);
    };
    feed(seed);
    for (int round = 0; round < 1000; ++round) {
        auto text = seed;
        for (auto changes = 1 + random() % 4; changes > 0 && !text.empty(); --changes) {
            const auto at = random() % text.size();
            switch (random() % 3) {
            case 0:
                text[at] = static_cast<char>(random());
                break;
            case 1:
                text.erase(at, 1 + random() % 4);
                break;
            default:
                text.insert(at, 1, "[]<>&;=#\"\n \\{}"[random() % 15]);
            }
        }
        feed(text);
    }
}

} // namespace

TEST_CASE("changed profile files mean the same when they are written again") {
    run(aws_profile_fuzz,
        "[default]\nregion = a\n[profile \"x y\"]\nrole_arn=r # c\ns3 =\n  b = c\nlong = 1\n  2\n");
}

TEST_CASE("changed answers of AWS are read or refused") {
    run(aws_answers_fuzz,
        "<R a='b'><C><Credentials><AccessKeyId>A&amp;</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
        "<SessionToken>t</SessionToken><Expiration>2030-01-02T03:04:05Z</Expiration></Credentials></C></R>");
    run(aws_answers_fuzz,
        R"({"Version":1,"Code":"Success","AccessKeyId":"A","SecretAccessKey":"s","Token":"t"})");
    run(aws_answers_fuzz,
        R"({"authorizationData":[{"authorizationToken":"QVdTOnNl","expiresAt":1.9e9}],"__type":"a#b"})");
    run(aws_answers_fuzz, "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com");
}
