#pragma once
// Source trees and hand-made tars for the tests of this layer. The tar blocks are built here a second time on
// purpose: a test of the reader must not trust the writer.
#include "consign/artifact/pack.hpp"
#include "consign/base/file.hpp"
#include <catch2/catch.hpp>
#include <cstring>
#include <fcntl.h>
#include <format>
#include <map>
#include <sys/stat.h>
#include <unistd.h>

namespace consign::test {

namespace fs = std::filesystem;

inline TemporaryDirectory scratch() {
    auto made = TemporaryDirectory::make("consign-artifact");
    REQUIRE(made);
    return std::move(*made);
}

inline void put_file(const fs::path& path, std::string_view text, mode_t mode = 0644) {
    fs::create_directories(path.parent_path());
    const auto fd = open_file(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    REQUIRE(fd);
    REQUIRE(write_all(fd->get(), as_bytes(text), path));
    REQUIRE(::fchmod(fd->get(), mode) == 0);
}
inline void put_link(const fs::path& path, const std::string& target) {
    fs::create_directories(path.parent_path());
    REQUIRE(::symlink(target.c_str(), path.c_str()) == 0);
}

/// What is below `root`: "path" → "dir", "link TARGET", "file MODE CONTENT".
inline std::map<std::string, std::string> contents(const fs::path& root) {
    std::map<std::string, std::string> out;
    for (const auto& item : fs::recursive_directory_iterator(root)) {
        const auto name = item.path().lexically_relative(root).native();
        struct stat info{};
        REQUIRE(::lstat(item.path().c_str(), &info) == 0);
        const auto mode = static_cast<unsigned>(info.st_mode & 07777);
        if (S_ISLNK(info.st_mode))
            out[name] = "link " + fs::read_symlink(item.path()).native();
        else if (S_ISDIR(info.st_mode))
            out[name] = std::format("dir {:o}", mode);
        else
            out[name] = std::format("file {:o} {}", mode, read_file(item.path()).value());
    }
    return out;
}

struct Raw {
    std::string name;
    char type = '0';
    std::string content = {};
    std::string link = {};
    unsigned mode = 0644;
    std::string magic = std::string("ustar\00000", 8);
    std::string size_field = {}; ///< instead of the octal size of `content`
    bool bad_checksum = false;
};

inline std::string raw_entry(const Raw& raw) {
    std::string block(512, '\0');
    const auto at = [&](std::size_t offset, std::string_view text) {
        block.replace(offset, text.size(), text);
    };
    at(0, raw.name.substr(0, 100));
    at(100, std::format("{:07o}", raw.mode));
    at(108, "0000000");
    at(116, "0000000");
    at(124, raw.size_field.empty() ? std::format("{:011o}", raw.content.size()) : raw.size_field);
    at(136, "00000000000");
    at(148, "        ");
    block[156] = raw.type;
    at(157, raw.link.substr(0, 100));
    at(257, raw.magic);
    unsigned sum = raw.bad_checksum ? 1 : 0;
    for (const char c : block) sum += static_cast<unsigned char>(c);
    at(148, std::format("{:06o}", sum) + std::string("\0 ", 2));
    block += raw.content;
    block.append((512 - raw.content.size() % 512) % 512, '\0');
    return block;
}

inline std::string raw_tar(const std::vector<Raw>& entries) {
    std::string out;
    for (const auto& entry : entries) out += raw_entry(entry);
    return out + std::string(1024, '\0');
}

} // namespace consign::test
