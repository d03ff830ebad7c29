// The headers of an OCI archive: whatever comes, the files it names lie within it.
#include "oci/archive_tar.hpp"
#include "oci/layout_index.hpp"
#include <cstdlib>
#include <sys/mman.h>
#include <unistd.h>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace consign;
    const Fd file(::memfd_create("fuzz", MFD_CLOEXEC));
    const ByteView bytes(reinterpret_cast<const std::byte*>(data), size);
    if (!file || !write_all(file.get(), bytes, "fuzz")) return 0;
    if (const auto spans = oci::index_tar(file.get(), "fuzz"))
        for (const auto& [name, span] : *spans)
            if (span.offset > size || span.size > size - span.offset) std::abort();
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto index = oci::LayoutIndex::parse(text, "fuzz")) {
        const auto again = oci::LayoutIndex::parse(index->text(), "fuzz");
        if (!again || again->all().size() != index->all().size() || again->tags() != index->tags())
            std::abort();
    }
    return 0;
}
