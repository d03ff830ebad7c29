// Whatever the bytes: nothing appears outside of the target, every link in it stays in it, and what unpacked
// packs to a layer that unpacks to the same.
#include "consign/artifact/pack.hpp"
#include "consign/base/file.hpp"
#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <sys/mman.h>
#include <unistd.h>

namespace {

namespace fs = std::filesystem;
using namespace consign;

void check_links(const fs::path& root) {
    for (const auto& item : fs::recursive_directory_iterator(root)) {
        if (!item.is_symlink()) continue;
        std::error_code error; // links may point at each other in circles: those lead nowhere
        const auto resolved = fs::weakly_canonical(item.path(), error);
        if (error) continue;
        if (std::ranges::mismatch(root, resolved).in1 != root.end()) std::abort();
    }
}

artifact::PackedLayer packed(const fs::path& tree, const fs::path& layer) {
    const auto result = artifact::pack_directory(tree, layer, {.zstd_level = 1});
    if (!result) std::abort();
    return *result;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    // In memory: unpacking ends with a flush of its file system.
    const auto box = TemporaryDirectory::make("untar", "/dev/shm");
    if (!box) std::abort();
    const auto& base = box->path();
    for (const auto* name : {"one", "two"}) fs::create_directory(base / name);
    const Fd input(::memfd_create("layer", MFD_CLOEXEC));
    if (!input || ::write(input.get(), data, size) != static_cast<ssize_t>(size)) std::abort();
    const fs::path file = "/proc/self/fd/" + std::to_string(input.get());

    const auto done = artifact::unpack_layer(file, base / "one", {.max_bytes = 4u << 20, .max_entries = 200});
    if (std::distance(fs::directory_iterator(base), fs::directory_iterator()) != 2) std::abort();
    check_links(base / "one");
    if (!done || fs::exists(fs::symlink_status(base / "one" / ".git"))) return 0; // .git is not packed
    const auto first = packed(base / "one", base / "first");
    if (!artifact::unpack_layer(base / "first", base / "two")) std::abort();
    if (packed(base / "two", base / "second").digest != first.digest) std::abort();
    return 0;
}
