// The fuzz target on a few thousand changed seeds, so that its promises are kept by every test run.
#define LLVMFuzzerTestOneInput untar_fuzz
#include "fuzz/untar_fuzz.cpp"
#undef LLVMFuzzerTestOneInput
#include "trees.hpp"
#include <random>

TEST_CASE("changed archives do no harm") {
    using consign::test::raw_tar;
    const std::string seeds[] = {
        raw_tar({{.name = "d/", .type = '5'},
                 {.name = "d/f", .content = "text", .mode = 0755},
                 {.name = "d/l", .type = '2', .link = "../d/f"}}),
        raw_tar({{.name = "x", .type = 'x', .content = "14 path=ab/cd\n"},
                 {.name = "f", .content = "text"},
                 {.name = "a/b/l", .type = '2', .link = ".."}}),
    };
    // The header's checksum would stop every change: it is put right again.
    const auto repair = [](std::string& tar) {
        for (std::size_t at = 0; at + 512 <= tar.size(); at += 512) {
            if (tar.compare(at + 257, 5, "ustar") != 0) continue;
            tar.replace(at + 148, 8, 8, ' ');
            unsigned sum = 0;
            for (const char c : tar.substr(at, 512)) sum += static_cast<unsigned char>(c);
            tar.replace(at + 148, 8, std::format("{:06o}", sum) + std::string("\0 ", 2));
        }
    };
    constexpr std::size_t kInteresting[] = {0,   1,   2,   3,   124, 134, 135, 156,
                                            157, 158, 159, 345, 512, 513, 517};
    constexpr std::string_view kBytes = "./ 0127dlfx5LK\xff";
    std::mt19937 random(3);
    for (int round = 0; round < 600; ++round) {
        auto tar = seeds[random() % std::size(seeds)];
        for (auto changes = 1 + random() % 4; changes > 0; --changes) {
            const auto at = random() % 2
                                ? kInteresting[random() % std::size(kInteresting)] + random() % 4 * 512
                                : random() % tar.size();
            tar[std::min(at, tar.size() - 1)] = kBytes[random() % kBytes.size()];
        }
        repair(tar);
        CHECK(untar_fuzz(reinterpret_cast<const unsigned char*>(tar.data()), tar.size()) == 0);
    }
}
