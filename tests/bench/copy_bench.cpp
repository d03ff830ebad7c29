// `consign registry copy` against `skopeo copy`, between two docker-registries: one image with a layer of 1
// GiB, and 20 images of 50 layers of 4 KiB, each copied by a process of its own. Both as they come: ours asks
// for referrers, too. skopeo remembers by registry which blobs it has seen where, so every round has a target
// that nobody knows.
#include "bench.hpp"
#include "consign/base/random.hpp"
#include "consign/oci/types.hpp"
#include <arpa/inet.h>
#include <csignal>
#include <fcntl.h>
#include <format>
#include <iostream>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

extern char** environ;

namespace bench {
namespace {

constexpr int kImages = 20, kLayers = 50, kRounds = 5;

bool answers(std::uint16_t port) {
    const Fd probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
    return ::connect(probe.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
}

/// Debian's docker-registry on a scratch directory.
class DockerRegistry {
  public:
    DockerRegistry() {
        const auto port = free_port();
        host_ = "127.0.0.1:" + std::to_string(port);
        const json::Value config{
            {"version", 0.1},
            {"log", {{"level", "error"}}},
            {"http", {{"addr", host_}, {"secret", "bench"}}},
            {"storage", {{"filesystem", {{"rootdirectory", (directory_.path() / "data").string()}}}}}};
        const auto file = directory_.path() / "config.yml"; // JSON is YAML
        need(write_file_atomic(file, json::dump(config)), "write a configuration");
        log_ = need(open_file(directory_.path() / "log", O_CREAT | O_WRONLY), "open a log");
        process_ = need(Subprocess::spawn({.argv = {"docker-registry", "serve", file.string()},
                                           .directory = ".",
                                           .environment = minimal_environment()},
                                          log_.get()),
                        "start docker-registry");
        for (int i = 0; i < 1000 && !answers(port); ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    ~DockerRegistry() {
        process_->signal_group(SIGKILL);
        process_->wait(std::chrono::seconds(10));
    }
    const std::string& host() const { return host_; }

  private:
    TemporaryDirectory directory_ = need(TemporaryDirectory::make("consign-bench"), "make a directory");
    std::string host_;
    Fd log_;
    std::optional<Subprocess> process_;
};

struct Cost {
    double seconds = 0, cpu_seconds = 0, rss_mib = 0;
};

/// Asks a process again and again how much memory it has had at most. wait4() would tell, but counts what its
/// parent had at the fork.
class MemoryWatch {
  public:
    explicit MemoryWatch(pid_t pid)
        : thread_([this, pid](std::stop_token stop) {
              while (!stop.stop_requested()) {
                  const auto status = read_file("/proc/" + std::to_string(pid) + "/status").value_or("");
                  // For a moment after its start it still has our name, and our memory.
                  if (const auto at = status.find("VmHWM:");
                      at != std::string::npos && !status.starts_with("Name:\tconsign_bench"))
                      peak_mib_ = std::max(peak_mib_, std::strtod(status.c_str() + at + 6, nullptr) / 1024);
                  std::this_thread::sleep_for(std::chrono::milliseconds(5));
              }
          }) {}
    double stop() {
        thread_.request_stop();
        thread_.join();
        return peak_mib_;
    }

  private:
    double peak_mib_ = 0;
    std::jthread thread_;
};

/// One process to its end.
Cost run_measured(std::vector<std::string> arguments) {
    std::vector<char*> argv;
    for (auto& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) // both tell of success there
        posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_WRONLY, 0);
    const auto start = Clock::now();
    pid_t pid = 0;
    if (posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ) != 0)
        give_up(arguments[0], Error{Code::internal, "cannot be started"});
    posix_spawn_file_actions_destroy(&actions);
    MemoryWatch memory(pid);
    int status = 0;
    rusage usage{};
    ::wait4(pid, &status, 0, &usage);
    const auto took = seconds_since(start);
    if (status != 0) give_up(arguments[0], Error{Code::failed, "status " + std::to_string(status)});
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return {.seconds = took,
            .cpu_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime),
            .rss_mib = memory.stop()};
}

/// A layout with one image per list of sizes, tags "0", "1", …. What looks compressed is not compressed on
/// its way.
void make_layout(const std::filesystem::path& directory, int images,
                 const std::vector<std::uint64_t>& sizes) {
    const auto blobs = directory / "blobs/sha256";
    need(make_directories(blobs), "make a layout");
    const auto put = [&](std::string_view media_type, const std::string& text) {
        oci::Descriptor out{
            .media_type = std::string(media_type), .digest = Digest::sha256_of(text), .size = text.size()};
        need(write_file_atomic(blobs / std::string(out.digest.hex()), text), "write a blob");
        return out;
    };
    auto index = json::Value::array();
    for (int image = 0; image < images; ++image) {
        std::vector<oci::Descriptor> layers;
        for (const auto size : sizes) {
            std::string text("\x1f\x8b\x08", 3);
            const auto noise = random_bytes(static_cast<std::size_t>(std::min<std::uint64_t>(size, 1 << 20)));
            while (text.size() < size) text += as_text(noise);
            text.resize(size);
            layers.push_back(put("application/vnd.oci.image.layer.v1.tar+gzip", text));
        }
        const auto config =
            put(oci::media::kImageConfig,
                json::dump({{"architecture", "amd64"}, {"os", "linux"}, {"created_by", image}}));
        auto manifest = oci::make_manifest("", config, layers);
        auto entry = json::encode(put(oci::media::kImageManifest, manifest.body));
        entry["annotations"] = {{"org.opencontainers.image.ref.name", std::to_string(image)}};
        index.push_back(std::move(entry));
    }
    need(
        write_file_atomic(directory / "index.json", json::dump({{"schemaVersion", 2}, {"manifests", index}})),
        "write");
    need(write_file_atomic(directory / "oci-layout", std::string_view(R"({"imageLayoutVersion":"1.0.0"})")),
         "write");
}

std::vector<std::string> ours(const std::filesystem::path& binary, const std::string& from,
                              const std::string& to) {
    return {std::filesystem::absolute(binary).string(),
            "registry",
            "copy",
            from,
            to,
            "--src-plain-http",
            "--dest-plain-http"};
}
std::vector<std::string> theirs(const std::string& from, const std::string& to) {
    return {"skopeo",           "copy",          "-q", "--src-tls-verify=false", "--dest-tls-verify=false",
            "docker://" + from, "docker://" + to};
}

/// All images to a fresh target, one process after the other: time and CPU in all, the largest memory.
template <class Arguments>
Cost copy_all(const std::string& source, int images, Arguments arguments) {
    const DockerRegistry target;
    Cost out;
    for (int image = 0; image < images; ++image) {
        const auto name = "/images:" + std::to_string(image);
        const auto one = run_measured(arguments(source + name, target.host() + name));
        out.seconds += one.seconds;
        out.cpu_seconds += one.cpu_seconds;
        out.rss_mib = std::max(out.rss_mib, one.rss_mib);
    }
    return out;
}

struct Compared {
    double seconds_ratio = 0, cpu_ratio = 0, rss_ratio = 0, seconds = 0, rss_mib = 0;
};

Compared compare(const std::filesystem::path& binary, int images, const std::vector<std::uint64_t>& sizes) {
    const DockerRegistry source;
    {
        const auto scratch = need(TemporaryDirectory::make("consign-bench"), "make a directory");
        make_layout(scratch.path(), images, sizes);
        for (int image = 0; image < images; ++image)
            run_measured(ours(binary, "oci:" + scratch.path().string() + ":" + std::to_string(image),
                              source.host() + "/images:" + std::to_string(image)));
    }
    std::vector<double> our_time, their_time, our_cpu, their_cpu, our_rss, their_rss;
    for (int round = 0; round < kRounds; ++round) {
        const auto we = copy_all(source.host(), images, [&](const std::string& from, const std::string& to) {
            return ours(binary, from, to);
        });
        const auto they = copy_all(source.host(), images, theirs);
        our_time.push_back(we.seconds), their_time.push_back(they.seconds);
        our_cpu.push_back(we.cpu_seconds), their_cpu.push_back(they.cpu_seconds);
        our_rss.push_back(we.rss_mib), their_rss.push_back(they.rss_mib);
    }
    return {.seconds_ratio = median(their_time) / median(our_time),
            .cpu_ratio = median(their_cpu) / median(our_cpu),
            .rss_ratio = median(our_rss) / median(their_rss),
            .seconds = median(our_time),
            .rss_mib = median(our_rss)};
}

} // namespace

int copy(const std::filesystem::path& binary) {
    const auto home = need(TemporaryDirectory::make("consign-bench"), "make a directory");
    ::setenv("HOME", home.path().c_str(), 1);
    const auto big = compare(binary, 1, {1u << 30});
    const auto small = compare(binary, kImages, std::vector<std::uint64_t>(kLayers, 4096));
    std::cout << std::format(
        "bench copy: vs_skopeo_big={:.2f} vs_skopeo_small={:.2f} rss_vs_skopeo={:.2f} "
        "cpu_vs_skopeo_big={:.2f} cpu_vs_skopeo_small={:.2f} big_s={:.2f} small_s={:.2f} rss_mib={:.1f}\n",
        big.seconds_ratio, small.seconds_ratio, std::max(big.rss_ratio, small.rss_ratio), big.cpu_ratio,
        small.cpu_ratio, big.seconds, small.seconds, std::max(big.rss_mib, small.rss_mib));
    return 0;
}

} // namespace bench
