// A URL that parses prints as one that parses to itself, and nothing in it can end a header's line.
#include "consign/net/url.hpp"
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    using namespace consign::net;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto url = Url::parse(text);
    if (url) {
        const auto again = Url::parse(url->str());
        if (!again || again->str() != url->str() || again->host != url->host || again->port != url->port)
            std::abort();
        for (const unsigned char c : url->host + url->target)
            if (c <= 0x20 || c == 0x7f) std::abort();
        if (url->port == 0 || !url->target.starts_with('/')) std::abort();
    }
    static const auto base = Url::parse("https://base.test:8443/a/b?c");
    if (const auto resolved = base->resolve(text); resolved && !Url::parse(resolved->str())) std::abort();
    return 0;
}
