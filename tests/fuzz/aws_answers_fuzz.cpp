// What is read from the network before anybody has proved who they are.
#include "oci/aws/answers.hpp"
#include "oci/aws/endpoints.hpp"
#include "oci/aws/xml.hpp"
#include <algorithm>
#include <cstdint>
#include <cstdlib>

using namespace consign;
using namespace consign::oci::aws;

namespace {

void check(const Result<Credentials>& credentials) {
    if (!credentials) return;
    // These become header fields.
    const auto plain = [](std::string_view text) {
        return std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
    };
    if (credentials->access_key_id.empty() || !plain(credentials->access_key_id) ||
        !plain(credentials->session_token.reveal()))
        std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    if (const auto leaves = xml_leaves(input))
        for (const auto& [path, text] : *leaves)
            if (path.empty() || path.front() == '/' || path.back() == '/') std::abort();
    check(read_sts_credentials(input));
    check(read_metadata_credentials(input));
    check(read_process_credentials(input));
    (void)read_json_error(input, "");
    (void)read_xml_error(input);
    (void)read_authorization(input);
    (void)read_repository(input);
    if (const auto host = parse_ecr_host(input))
        if (host->account.size() != 12 || !is_region(host->region) || !ecr_endpoint(*host, {})) std::abort();
    return 0;
}
