#include "consign/protocol/vendor_registry.hpp"
#include <catch2/catch.hpp>

using namespace consign;

TEST_CASE("an IMS that is reached over https cannot name a registry without TLS") {
    struct Row {
        const char *ims, *registry;
        std::optional<Code> refused;
    };
    const auto row = GENERATE(values<Row>({
        {"https://ims.example", "https://ims.example", {}},
        {"https://ims.example", "https://registry.example:5000/", {}},
        {"https://ims.example", "http://ims.example", Code::permission_denied},
        {"https://ims.example", "http://127.0.0.1:8400", Code::permission_denied},
        {"http://127.0.0.1:8400", "http://127.0.0.1:8400", {}},
        {"http://127.0.0.1:8400", "https://registry.example", {}},
        {"http://127.0.0.1:8400", "registry.example", Code::invalid_argument},
    }));
    CAPTURE(row.ims, row.registry);
    const auto url = protocol::vendor_registry(row.registry, net::Url::parse(row.ims).value());
    REQUIRE(url.has_value() == !row.refused);
    if (url) return;
    CHECK(url.error().code == row.refused);
    if (row.refused != Code::permission_denied) return;
    CHECK(url.error().message.contains(row.ims));
    CHECK(url.error().message.contains(row.registry));
    CHECK(url.error().hint.contains("--public-url"));
}
