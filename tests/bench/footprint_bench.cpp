// How big the program is: on disk, in memory when idle, and how long it takes to start.
#include "bench.hpp"
#include <format>
#include <iostream>
#include <thread>

namespace bench {
namespace {

double stripped_mib(const std::filesystem::path& binary, const std::filesystem::path& scratch) {
    const auto copy = scratch / "consign.stripped";
    const auto done = need(run({.argv = {"strip", "-o", copy.string(), binary.string()},
                                .directory = ".",
                                .environment = minimal_environment()},
                               [](std::string_view text) { std::cerr << text; }),
                           "strip");
    if (!done.ok()) give_up("strip", Error{Code::failed, done.describe()});
    return static_cast<double>(std::filesystem::file_size(copy)) / (1 << 20);
}

double start_ms(const std::filesystem::path& binary) {
    const auto start = Clock::now();
    need(run({.argv = {std::filesystem::absolute(binary).string(), "--version"},
              .directory = ".",
              .environment = minimal_environment()},
             [](std::string_view) {}),
         "consign --version");
    return seconds_since(start) * 1000;
}

struct Idle {
    double ims, build_agent, install_agent;
};

Idle idle(const std::filesystem::path& binary) {
    Server server(binary);
    net::IoThread io;
    Client owner(io, server, server.owner_token());
    need(io.run(apply_load_app(owner.api())), "apply an app");
    need(io.run(owner.api().call<protocol::InstallView>(
             net::Verb::post, "/v1/installs", protocol::CreateInstallRequest{.name = "acme", .app = "load"})),
         "make an install");
    const auto token = [&](const std::string& path) {
        return need(io.run(owner.api().call<protocol::EnrollTokenView>(net::Verb::post, path,
                                                                       protocol::EnrollTokenRequest{})),
                    "an enrolment token")
            .token;
    };
    const auto& scratch = server.directory();
    Process build(binary,
                  {"build-agent", "--ims", server.url().str(), "--enroll", token("/v1/agents/enroll-token"),
                   "--data", (scratch / "build").string()},
                  scratch / "build.log");
    Process install(binary,
                    {"install-agent", "--ims", server.url().str(), "--enroll",
                     token("/v1/installs/acme/enroll-token"), "--data", (scratch / "acme").string(),
                     "--registry-listen", "127.0.0.1:0"},
                    scratch / "acme.log");
    build.wait_for("agent=");
    install.wait_for("registry_port=");
    std::this_thread::sleep_for(std::chrono::seconds(1)); // until the first polls are parked
    return {rss_mib(server.pid()), rss_mib(build.pid()), rss_mib(install.pid())};
}

} // namespace

int footprint(const std::filesystem::path& binary) {
    const auto scratch = need(TemporaryDirectory::make("consign-bench"), "make a directory");
    std::vector<double> ims, build, install;
    for (int round = 0; round < 5; ++round) {
        const auto now = idle(binary);
        ims.push_back(now.ims);
        build.push_back(now.build_agent);
        install.push_back(now.install_agent);
    }
    std::cout << std::format("bench footprint: binary_mib={:.2f} ims_rss_mib={:.1f} "
                             "build_agent_rss_mib={:.1f} install_agent_rss_mib={:.1f} start_ms={:.1f}\n",
                             stripped_mib(binary, scratch.path()), median(ims), median(build),
                             median(install), median_of(21, [&] { return start_ms(binary); }));
    return 0;
}

} // namespace bench
