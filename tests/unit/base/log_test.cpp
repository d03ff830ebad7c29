#include "consign/base/file.hpp"
#include "consign/base/log.hpp"
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <functional>
#include <sstream>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace consign;

namespace {

/// What `work` writes to stderr.
std::string logged(const std::function<void()>& work) {
    const auto directory = TemporaryDirectory::make("log").value();
    const auto path = directory.path() / "stderr";
    const Fd file = open_file(path, O_CREAT | O_WRONLY | O_APPEND).value();
    const Fd saved(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
    ::dup2(file.get(), STDERR_FILENO);
    work();
    ::dup2(saved.get(), STDERR_FILENO);
    return read_file(path).value();
}

std::string after_time(const std::string& line) {
    return line.substr(std::string("2026-01-31T12:00:00.000Z ").size());
}

} // namespace

TEST_CASE("a line has time, level, message and fields") {
    const auto line = logged([] {
        log::info("job done",
                  {{"job", "job_1"}, {"took_s", 3}, {"ok", true}, {"note", "two words"}, {"empty", ""}});
    });
    CHECK(line[4] == '-');
    CHECK(line[23] == 'Z');
    CHECK(after_time(line) == "info job done job=job_1 took_s=3 ok=true note=\"two words\" empty=\"\"\n");
}

TEST_CASE("text from outside cannot forge a line or drive the terminal") {
    const auto line = logged([] {
        log::warn("a\nb", {{"path", "x\" y=\"\\"}, {"evil", std::string("\x1b[31m\n2026 info fake")}});
    });
    CHECK(after_time(line) == R"(warn a\nb path="x\" y=\"\\" evil="\x1b[31m\n2026 info fake")"
                              "\n");
}

TEST_CASE("levels below the one set are dropped") {
    const auto lines = logged([] {
        log::debug("unseen");
        log::set_level(log::Level::error);
        log::warn("unseen");
        log::error("seen");
        log::set_level(log::Level::debug);
        log::debug("seen too");
        log::set_level(log::Level::info);
    });
    CHECK(lines.find("unseen") == std::string::npos);
    CHECK(lines.find("error seen\n") != std::string::npos);
    CHECK(lines.find("debug seen too\n") != std::string::npos);
}

TEST_CASE("lines of many threads are never torn") {
    const auto lines = logged([] {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 4; ++t)
            threads.emplace_back([] {
                for (int i = 0; i < 200; ++i) log::info("message", {{"value", std::string(200, 'x')}});
            });
    });
    std::istringstream in(lines);
    int count = 0;
    for (std::string line; std::getline(in, line); ++count)
        REQUIRE(after_time(line) == "info message value=" + std::string(200, 'x'));
    CHECK(count == 800);
}
