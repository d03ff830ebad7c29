#include "consign/protocol/vendor_registry.hpp"

namespace consign::protocol {

Result<net::Url> vendor_registry(std::string_view given, const net::Url& ims) {
    auto url = net::Url::parse(given);
    if (!url) return std::unexpected(with_context(std::move(url).error(), "the vendor registry's URL"));
    if (ims.tls() && !url->tls())
        return fail(Code::permission_denied,
                    "the IMS at " + ims.origin() + " sends us to a vendor registry without TLS, at " +
                        url->origin() + "; no credential was sent there",
                    "start the IMS with --public-url https://… (or serve its registry over https)");
    return url;
}

} // namespace consign::protocol
