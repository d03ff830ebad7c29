#include "consign/cli/cli.hpp"
#include <catch2/catch.hpp>
#include <iostream>
#include <optional>
#include <sstream>

using namespace consign;
using namespace consign::cli;

namespace {

/// What the modes were called with.
struct Called {
    std::optional<ImsFlags> ims;
    std::optional<BuildAgentFlags> build_agent;
    std::optional<BuildHereFlags> build_here;
    std::optional<InstallAgentFlags> install_agent;
    Result<void> answer;

    Modes modes() {
        return {.ims = [this](const ImsFlags& f) { return ims = f, answer; },
                .build_agent = [this](const BuildAgentFlags& f) { return build_agent = f, answer; },
                .build_here = [this](const BuildHereFlags& f) { return build_here = f, answer; },
                .install_agent = [this](const InstallAgentFlags& f) { return install_agent = f, answer; }};
    }
};

struct Ran {
    int code;
    std::string out, err;
};

Ran run_argv(std::vector<const char*> argv, Called& called) {
    std::ostringstream out, err;
    auto* const before_out = std::cout.rdbuf(out.rdbuf());
    auto* const before_err = std::cerr.rdbuf(err.rdbuf());
    const int code = run(static_cast<int>(argv.size()), argv.data(), called.modes(), "9.9.9");
    std::cout.rdbuf(before_out);
    std::cerr.rdbuf(before_err);
    return {code, out.str(), err.str()};
}

} // namespace

TEST_CASE("a symlink named like a mode runs it") {
    Called called;
    CHECK(run_argv({"/usr/bin/ims", "--data", "d", "--listen", "0.0.0.0:1"}, called).code == 0);
    REQUIRE(called.ims);
    CHECK(called.ims->data == "d");
    CHECK(called.ims->listen == "0.0.0.0:1");
    CHECK(run_argv({"build-agent", "--once"}, called).code == 0);
    REQUIRE(called.build_agent);
    CHECK(called.build_agent->once);
    CHECK(run_argv({"./install-agent"}, called).code == 0);
    REQUIRE(called.install_agent);
    CHECK(called.install_agent->data == "./consign-install-agent");
    CHECK(called.install_agent->registry_listen == "127.0.0.1:8500");
}

TEST_CASE("modes get their flags, and their errors become exit codes") {
    Called called;
    CHECK(run_argv({"consign", "build-agent", "--ims", "http://x", "--enroll", "tok", "--slots", "4",
                    "--ca-file", "ca"},
                   called)
              .code == 0);
    CHECK(called.build_agent->ims == "http://x");
    CHECK(called.build_agent->enroll.reveal() == "tok");
    CHECK(called.build_agent->slots == 4);
    CHECK(called.build_agent->ca_file == "ca");

    CHECK(run_argv({"consign", "build-agent", "build", "shop/web", "--source", "src", "--token", "t", "-o",
                    "json"},
                   called)
              .code == 0);
    CHECK(called.build_here->target == "shop/web");
    CHECK(called.build_here->source == "src");
    CHECK(called.build_here->ims == "http://127.0.0.1:8400");
    CHECK(called.build_here->token.reveal() == "t");
    CHECK(called.build_here->json);

    called.answer = fail(Code::failed, "the build of web failed", "look there");
    const auto ran = run_argv({"consign", "build-agent", "build", "shop"}, called);
    CHECK(ran.code == 7);
    CHECK(ran.err == "consign: the build of web failed\n  look there\n");
    CHECK(run_argv({"consign", "ims", "--tls-cert", "c"}, called).code == 2);
}

TEST_CASE("without a command there is an overview, and help for each") {
    Called called;
    CHECK(run_argv({"consign"}, called).out.find("Make software") != std::string::npos);
    CHECK(run_argv({"consign", "--version"}, called).out == "consign 9.9.9\n");
    const auto help = run_argv({"consign", "help", "deploy"}, called);
    CHECK(help.code == 0);
    CHECK(help.out.find("consign deploy INSTALL [flags]") != std::string::npos);
    const auto wrong = run_argv({"consign", "deplyo"}, called);
    CHECK(wrong.code == 2);
    CHECK(wrong.err == "consign: 'consign' has no command 'deplyo'\n  did you mean 'deploy'?\n");
    CHECK(wrong.out.empty());
}
