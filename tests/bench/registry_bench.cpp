// Our registry against Debian's docker-registry, side by side: what a push and a pull of 1 GiB cost the
// server, how many small blobs go over one connection in a second, and 64 pulls at once; first without TLS on
// both, then with it. Both are durable: docker-registry syncs each file that it writes. Ours checks a token
// with every request, theirs asks for none.
#include "bench.hpp"
#include "consign/base/random.hpp"
#include <arpa/inet.h>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <format>
#include <fstream>
#include <iostream>
#include <netinet/in.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace bench {
namespace {

constexpr std::uint64_t kBigBytes = 1ull << 30, kManyBytes = 64ull << 20;
constexpr int kRounds = 5, kSmallBlobs = 1000, kSmallBytes = 4096, kPulls = 64;
constexpr std::string_view kRepository = "bench/x";

/// One registry on a scratch directory; ended with its object.
class Registry {
  public:
    Registry() = default;
    virtual ~Registry() = default;
    virtual pid_t pid() const = 0;
    /// The value of an Authorization field that is good for some minutes; empty: none is needed.
    virtual std::string authorization(net::IoThread&, net::Client&) { return {}; }
    const net::Url& url() const { return url_; }
    /// Big blobs are of no use after their round.
    void drop_big_blobs() {
        for (const auto& entry : std::filesystem::recursive_directory_iterator(directory_.path()))
            if (entry.is_regular_file() && entry.file_size() >= kManyBytes)
                std::filesystem::remove(entry.path());
    }

  protected:
    TemporaryDirectory directory_ = need(TemporaryDirectory::make("consign-bench"), "make a directory");
    net::Url url_;
};

class Ours final : public Registry {
  public:
    Ours(const std::filesystem::path& binary, const std::optional<Certificate>& tls) {
        const auto data = directory_.path() / "ims";
        std::vector<std::string> arguments{"ims", "--data", data.string(), "--listen", "127.0.0.1:0"};
        if (tls)
            arguments.insert(arguments.end(),
                             {"--tls-cert", tls->certificate.string(), "--tls-key", tls->key.string()});
        process_.emplace(binary, std::move(arguments), directory_.path() / "log");
        url_ = need(net::Url::parse(process_->wait_for("url=")), "read the URL");
        token_ = need(read_file(data / "owner.token"), "read the token");
        while (token_.ends_with('\n')) token_.pop_back();
    }
    pid_t pid() const override { return process_->pid(); }
    std::string authorization(net::IoThread& io, net::Client& http) override {
        net::ClientRequest request{.verb = net::Verb::get, .url = url_};
        request.url.target = "/v2/token?service=consign&scope=" +
                             net::percent_encode("repository:" + std::string(kRepository) + ":*");
        request.headers.set("Authorization", "Basic " + to_base64(as_bytes("owner:" + token_)));
        const auto text = need(io.run(http.fetch_text(std::move(request))), "get a token");
        return "Bearer " + need(json::parse(text), "read the token").at("token").get<std::string>();
    }

  private:
    std::optional<Process> process_;
    std::string token_;
};

class Theirs final : public Registry {
  public:
    explicit Theirs(const std::optional<Certificate>& tls) {
        const auto host = "127.0.0.1:" + std::to_string(free_port());
        json::Value http{{"addr", host}, {"secret", "bench"}};
        if (tls) http["tls"] = {{"certificate", tls->certificate.string()}, {"key", tls->key.string()}};
        // As Debian's own configuration has it, with the cache of blobs' descriptors.
        const json::Value config{
            {"version", 0.1},
            {"log", {{"level", "error"}, {"accesslog", {{"disabled", true}}}}},
            {"http", http},
            {"storage",
             {{"cache", {{"blobdescriptor", "inmemory"}}},
              {"delete", {{"enabled", true}}},
              {"filesystem", {{"rootdirectory", (directory_.path() / "data").string()}}}}}};
        const auto file = directory_.path() / "config.yml"; // JSON is YAML
        need(write_file_atomic(file, json::dump(config)), "write a configuration");
        log_ = need(open_file(directory_.path() / "log", O_CREAT | O_WRONLY), "open a log");
        process_ = need(Subprocess::spawn({.argv = {"docker-registry", "serve", file.string()},
                                           .directory = ".",
                                           .environment = minimal_environment()},
                                          log_.get()),
                        "start docker-registry");
        url_ = need(net::Url::parse((tls ? "https://" : "http://") + host), "make a URL");
    }
    pid_t pid() const override { return process_->pid(); }

  private:
    Fd log_;
    std::optional<Subprocess> process_;
};

/// The same random MiB again and again: no server looks at it, and making it costs next to nothing.
class Pattern final : public net::Source {
  public:
    Pattern(std::shared_ptr<const Bytes> block, std::uint64_t size) : block_(std::move(block)), left_(size) {}
    net::Async<Result<std::size_t>> read(std::span<std::byte> into) override {
        const auto count = std::min({static_cast<std::uint64_t>(into.size()), left_,
                                     static_cast<std::uint64_t>(block_->size() - at_)});
        std::memcpy(into.data(), block_->data() + at_, count);
        at_ = (at_ + count) % block_->size();
        left_ -= count;
        co_return static_cast<std::size_t>(count);
    }

  private:
    std::shared_ptr<const Bytes> block_;
    std::uint64_t left_;
    std::size_t at_ = 0;
};

struct Blob {
    std::shared_ptr<const Bytes> block;
    std::uint64_t size = 0;
    Digest digest;
};
Blob make_blob(std::uint64_t size) {
    Blob out{.block = std::make_shared<const Bytes>(random_bytes(std::min<std::uint64_t>(size, 1u << 20))),
             .size = size,
             .digest = {}};
    Hasher hasher;
    for (std::uint64_t done = 0; done < size; done += out.block->size()) hasher.update(*out.block);
    out.digest = hasher.finish();
    return out;
}

/// A client of one registry; its coroutines run on `io`.
class Client {
  public:
    Client(net::IoThread& io, Registry& registry, std::string ca_file)
        : io_(io), registry_(registry),
          http_(io.executor(), {.ca_file = std::move(ca_file), .idle_per_origin = kPulls}) {}

    void log_in() { authorization_ = registry_.authorization(io_, http_); }
    void await_start() {
        for (int i = 0; i < 500; ++i) {
            if (io_.run(http_.send(request(net::Verb::get, "/v2/")))) return;
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
        give_up("wait for a registry", Error{Code::unavailable, "it does not answer"});
    }
    void push(const Blob& blob) { need(io_.run(push_one(blob)), "push a blob"); }
    void push_all(const std::vector<Blob>& blobs) {
        need(io_.run(each(blobs, &Client::push_one)), "push small blobs");
    }
    void pull(const Blob& blob) { need(io_.run(pull_one(blob)), "pull a blob"); }
    void pull_all(const std::vector<Blob>& blobs) {
        need(io_.run(each(blobs, &Client::pull_one)), "pull small blobs");
    }
    void pull_at_once(const Blob& blob, int count) { need(io_.run(together(blob, count)), "pull at once"); }

  private:
    using Outcome = net::Async<Result<void>>;

    net::ClientRequest request(net::Verb verb, const std::string& target) const {
        net::ClientRequest out{.verb = verb, .url = registry_.url()};
        out.url.target = target;
        if (!authorization_.empty()) out.headers.set("Authorization", authorization_);
        out.response_deadline = std::chrono::minutes(5);
        return out;
    }
    net::Async<Result<net::ClientResponse>> expect(net::ClientRequest wanted, int status) {
        CONSIGN_CO_TRY(response, co_await http_.send(std::move(wanted)));
        if (response.status != status)
            co_return fail(Code::failed, "it answered " + std::to_string(response.status));
        co_return std::move(response);
    }
    Outcome push_one(Blob blob) {
        CONSIGN_CO_TRY(begun,
                       co_await expect(
                           request(net::Verb::post, std::format("/v2/{}/blobs/uploads/", kRepository)), 202));
        CONSIGN_CO_TRY(location, begun.url.resolve(begun.headers.get("Location")));
        CONSIGN_CO_CHECK(co_await net::read_all(*begun.body, 1 << 20));
        auto put = request(net::Verb::put, location.target);
        put.url.target += (location.target.contains('?') ? "&digest=" : "?digest=") +
                          net::percent_encode(blob.digest.str());
        put.headers.set("Content-Type", "application/octet-stream");
        if (blob.size <= kSmallBytes)
            put.body = std::string(as_text(*blob.block));
        else
            put.body = net::StreamBody{.source = std::make_shared<Pattern>(blob.block, blob.size),
                                       .size = blob.size,
                                       .piece_bytes = 1u << 20};
        CONSIGN_CO_TRY(done, co_await expect(std::move(put), 201));
        CONSIGN_CO_CHECK(co_await net::read_all(*done.body, 1 << 20));
        co_return Result<void>{};
    }
    Outcome pull_one(Blob blob) {
        CONSIGN_CO_TRY(
            response, co_await expect(request(net::Verb::get,
                                              std::format("/v2/{}/blobs/{}", kRepository, blob.digest.str())),
                                      200));
        Bytes buffer(std::min<std::uint64_t>(blob.size, 1u << 20));
        for (std::uint64_t seen = 0; seen < blob.size;) {
            CONSIGN_CO_TRY(got, co_await response.body->read(buffer));
            if (got == 0) co_return fail(Code::corrupt, "the blob is too short");
            seen += got;
        }
        CONSIGN_CO_CHECK(co_await net::read_all(*response.body, 1)); // its end frees the connection
        co_return Result<void>{};
    }
    Outcome each(std::vector<Blob> blobs, Outcome (Client::*one)(Blob)) {
        for (const auto& blob : blobs) CONSIGN_CO_CHECK(co_await (this->*one)(blob));
        co_return Result<void>{};
    }
    net::Async<> pull_into(Blob blob, std::shared_ptr<Result<void>> outcome) {
        if (auto done = co_await pull_one(std::move(blob)); !done) *outcome = std::move(done);
    }
    Outcome together(Blob blob, int count) {
        auto outcome = std::make_shared<Result<void>>();
        net::TaskGroup group(io_.executor());
        for (int i = 0; i < count; ++i) group.spawn(pull_into(blob, outcome));
        co_await group.join();
        co_return *outcome;
    }

    net::IoThread& io_;
    Registry& registry_;
    net::Client http_;
    std::string authorization_;
};

struct Cost {
    double cpu = 0, seconds = 0;
};
template <class Work>
Cost measure(const Registry& registry, Work work) {
    const auto cpu = cpu_seconds(registry.pid());
    const auto start = Clock::now();
    work();
    // Never nothing: the kernel counts in hundredths.
    return {.cpu = std::max(cpu_seconds(registry.pid()) - cpu, 0.01), .seconds = seconds_since(start)};
}

double peak_rss_mib(pid_t pid) {
    std::ifstream status("/proc/" + std::to_string(pid) + "/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("VmHWM:")) return std::stod(line.substr(6)) / 1024;
    return 0;
}

/// Per server: what each phase cost, round by round.
struct Costs {
    std::vector<double> push_cpu, pull_cpu, pulls_cpu, small_push_rate, small_pull_rate;
};

void one_round(Registry& registry, Client& client, Costs& costs) {
    client.log_in();
    const auto big = make_blob(kBigBytes), many = make_blob(kManyBytes);
    std::vector<Blob> small;
    for (int i = 0; i < kSmallBlobs; ++i) small.push_back(make_blob(kSmallBytes));
    costs.push_cpu.push_back(measure(registry, [&] { client.push(big); }).cpu);
    costs.pull_cpu.push_back(measure(registry, [&] { client.pull(big); }).cpu);
    costs.small_push_rate.push_back(kSmallBlobs / measure(registry, [&] { client.push_all(small); }).seconds);
    costs.small_pull_rate.push_back(kSmallBlobs / measure(registry, [&] { client.pull_all(small); }).seconds);
    client.push(many);
    costs.pulls_cpu.push_back(measure(registry, [&] { client.pull_at_once(many, kPulls); }).cpu);
    registry.drop_big_blobs();
}

double thread_cpu() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

/// The CPU that nobody gets around who stores 1 GiB by its digest: hashing it, and one write.
double floor_cpu() {
    const auto directory = need(TemporaryDirectory::make("consign-bench"), "make a directory");
    const auto file = need(open_file(directory.path() / "floor", O_CREAT | O_WRONLY), "open a file");
    const auto block = random_bytes(1u << 20);
    const auto start = thread_cpu();
    Hasher hasher;
    for (std::uint64_t done = 0; done < kBigBytes; done += block.size()) {
        hasher.update(block);
        need(write_all(file.get(), block, directory.path() / "floor"), "write");
    }
    ::fsync(file.get());
    (void)hasher.finish();
    return thread_cpu() - start;
}

std::string compare(const std::filesystem::path& binary, const std::optional<Certificate>& tls,
                    const std::string& prefix) {
    Ours ours(binary, tls);
    Theirs theirs(tls);
    net::IoThread io;
    const auto ca = tls ? tls->certificate.string() : std::string();
    auto our_client = std::make_unique<Client>(io, ours, ca),
         their_client = std::make_unique<Client>(io, theirs, ca);
    our_client->await_start();
    their_client->await_start();
    Costs us, them;
    for (int round = 0; round < kRounds; ++round) {
        one_round(ours, *our_client, us);
        one_round(theirs, *their_client, them);
        std::cerr << std::format(
            "round {}{}: push {:.2f}/{:.2f} s CPU, pull {:.2f}/{:.2f}, {} pulls {:.2f}/{:.2f}, "
            "small pushes {:.0f}/{:.0f} a second, small pulls {:.0f}/{:.0f}\n",
            prefix, round + 1, us.push_cpu.back(), them.push_cpu.back(), us.pull_cpu.back(),
            them.pull_cpu.back(), kPulls, us.pulls_cpu.back(), them.pulls_cpu.back(),
            us.small_push_rate.back(), them.small_push_rate.back(), us.small_pull_rate.back(),
            them.small_pull_rate.back());
    }
    const auto vs = [&](std::vector<double> Costs::*what) { return median(them.*what) / median(us.*what); };
    return std::format("{0}push_per_cpu_vs={1:.2f} {0}pull_per_cpu_vs={2:.2f} {0}pulls64_per_cpu_vs={3:.2f} "
                       "{0}small_push_vs={4:.2f} "
                       "{0}small_pull_vs={5:.2f} {0}peak_rss_mib={6:.1f} {0}their_peak_rss_mib={7:.1f} "
                       "{0}push_cpu_s={8:.2f} "
                       "{0}pull_cpu_s={9:.2f} {0}small_pushes_per_s={10:.0f} {0}small_pulls_per_s={11:.0f}",
                       prefix, vs(&Costs::push_cpu), vs(&Costs::pull_cpu), vs(&Costs::pulls_cpu),
                       1 / vs(&Costs::small_push_rate), 1 / vs(&Costs::small_pull_rate),
                       peak_rss_mib(ours.pid()), peak_rss_mib(theirs.pid()), median(us.push_cpu),
                       median(us.pull_cpu), median(us.small_push_rate), median(us.small_pull_rate));
}

} // namespace

int registry(const std::filesystem::path& binary) {
    const auto directory = need(TemporaryDirectory::make("consign-bench"), "make a directory");
    const double floor = median_of(kRounds, floor_cpu);
    const auto plain = compare(binary, std::nullopt, "");
    const auto tls = compare(binary, make_certificate(directory.path()), "tls_");
    std::cout << std::format("bench registry: {} floor_push_cpu_s={:.2f} {}\n", plain, floor, tls);
    return 0;
}

} // namespace bench
