// Packing a real tree, side by side with `tar | zstd -3` on the same files.
#include "bench.hpp"
#include "consign/artifact/pack.hpp"
#include <format>
#include <iostream>

namespace bench {
namespace {

std::uint64_t tree_bytes(const std::filesystem::path& root) {
    std::uint64_t bytes = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root))
        if (entry.is_regular_file() && !entry.is_symlink()) bytes += entry.file_size();
    return bytes;
}

void shell(const std::string& script) {
    const auto done =
        need(run({.argv = {"sh", "-c", script}, .directory = ".", .environment = minimal_environment()},
                 [](std::string_view text) { std::cerr << text; }),
             script);
    if (!done.ok()) give_up(script, Error{Code::failed, done.describe()});
}

} // namespace

int pack(const std::filesystem::path&) {
    const auto scratch = need(TemporaryDirectory::make("consign-bench"), "make a directory");
    const auto tree = scratch.path() / "tree";
    // Sources and binaries, as a vendor's bundle has them; links are resolved, since some leave the tree.
    shell("mkdir -p '" + tree.string() + "' && cp -rL /usr/include/boost '" + tree.string() +
          "/headers' && mkdir '" + tree.string() +
          "/bin' && cp -L /usr/bin/git /usr/bin/cmake /usr/bin/openssl '" + tree.string() + "/bin/'");
    const double mib = static_cast<double>(tree_bytes(tree)) / (1 << 20);
    std::vector<double> ours, theirs;
    for (int round = 0; round < 5; ++round) {
        auto start = Clock::now();
        need(artifact::pack_directory(tree, scratch.path() / "ours.tar.zst"), "pack");
        ours.push_back(seconds_since(start));
        start = Clock::now();
        shell("tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -C '" + tree.string() +
              "' -cf - . | zstd -q -3 -T1 -f -o '" + (scratch.path() / "theirs.tar.zst").string() +
              "' && sha256sum '" + (scratch.path() / "theirs.tar.zst").string() + "' >/dev/null");
        theirs.push_back(seconds_since(start));
    }
    std::cout << std::format("bench pack: mib_per_s={:.0f} vs_tar_zstd={:.2f} tree_mib={:.0f}\n",
                             mib / median(ours), median(theirs) / median(ours), mib);
    return 0;
}

} // namespace bench
