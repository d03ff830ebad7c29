#include "bench.hpp"
#include <format>
#include "consign/base/jwt.hpp"
#include "consign/base/random.hpp"
#include <algorithm>
#include <arpa/inet.h>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <iostream>
#include <netinet/in.h>
#include <sstream>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace bench {

double quantile(std::vector<double> values, double q) {
    if (values.empty()) return 0;
    std::ranges::sort(values);
    return values[std::min(values.size() - 1,
                           static_cast<std::size_t>(q * static_cast<double>(values.size())))];
}

double median_of(int rounds, const std::function<double()>& round) {
    std::vector<double> values;
    for (int i = 0; i < rounds; ++i) values.push_back(round());
    return median(std::move(values));
}

double rss_mib(pid_t pid) {
    std::ifstream status("/proc/" + std::to_string(pid) + "/statm");
    double total = 0, resident = 0;
    status >> total >> resident;
    return resident * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 20);
}

double cpu_seconds(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    std::istringstream rest(text.substr(text.rfind(')') + 2));
    std::string skipped;
    for (int field = 3; field < 14; ++field) rest >> skipped;
    double user = 0, system = 0;
    rest >> user >> system;
    return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

void give_up(std::string_view doing, const Error& error) {
    std::cerr << "bench: " << doing << ": " << to_string(error) << "\n";
    std::exit(1);
}

Process::Process(const std::filesystem::path& binary, std::vector<std::string> arguments,
                 std::filesystem::path log)
    : log_(std::move(log)), output_(need(open_file(log_, O_CREAT | O_WRONLY | O_APPEND), "open a log")) {
    Command command{.argv = {std::filesystem::absolute(binary).string()},
                    .directory = ".",
                    .environment = minimal_environment()};
    for (auto& argument : arguments) command.argv.push_back(std::move(argument));
    process_ = need(Subprocess::spawn(command, output_.get()), "start consign");
}

Process::~Process() {
    process_->signal_group(SIGTERM);
    process_->wait(std::chrono::seconds(20));
}

void Process::kill() {
    process_->signal_group(SIGKILL);
    process_->wait(std::chrono::seconds(20));
}

std::string Process::wait_for(std::string_view key) {
    for (int i = 0; i < 2000; ++i) {
        const auto text = read_file(log_).value_or("");
        if (const auto at = text.find(key); at != std::string::npos) {
            const auto begin = at + key.size();
            const auto end = text.find_first_of(" \n", begin);
            if (end != std::string::npos) return text.substr(begin, end - begin);
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    give_up("wait for a process",
            Error{Code::timed_out, std::string(key) + " does not come: " + log_.string()});
}

namespace {
/// On disk, too: writing it back must not meet what is measured.
void copy_tree(const std::filesystem::path& from, const std::filesystem::path& to) {
    std::filesystem::copy(from, to, std::filesystem::copy_options::recursive);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(to))
        if (entry.is_regular_file()) ::fsync(need(open_file(entry.path(), O_RDONLY), "open a copy").get());
}
} // namespace

Certificate make_certificate(const std::filesystem::path& directory) {
    Certificate out{directory / "cert.pem", directory / "key.pem"};
    auto made =
        need(Subprocess::spawn({.argv = {"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                                         "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                                         "/CN=bench", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout",
                                         out.key.string(), "-out", out.certificate.string()},
                                .directory = ".",
                                .environment = minimal_environment()}),
             "start openssl");
    made.wait(std::chrono::seconds(30));
    return out;
}

Server::Server(const std::filesystem::path& binary, const std::filesystem::path& history,
               const std::optional<Certificate>& tls)
    : binary_(binary), tls_(tls),
      directory_(need(TemporaryDirectory::make("consign-bench"), "make a directory")) {
    if (!history.empty()) copy_tree(history, data());
    start();
    token_ = need(read_file(data() / "owner.token"), "read the token");
    while (token_.ends_with('\n')) token_.pop_back();
}

void Server::kill() {
    process_->kill();
    process_.reset();
}

void Server::start() {
    std::vector<std::string> arguments{"ims", "--data", data().string(), "--listen",
                                       url_.host.empty() ? "127.0.0.1:0" : url_.host + ":" + std::to_string(url_.port)};
    if (tls_)
        arguments.insert(arguments.end(),
                         {"--tls-cert", tls_->certificate.string(), "--tls-key", tls_->key.string()});
    process_.emplace(binary_, std::move(arguments), directory_.path() / std::format("ims.{}.log", starts_++));
    url_ = need(net::Url::parse(process_->wait_for("url=")), "read the URL");
}

namespace {
net::Async<Result<std::string>> give(std::shared_ptr<std::string> token) { co_return *token; }
} // namespace

Client::Client(net::IoThread& io, const Server& server, std::string token)
    : token_(std::make_shared<std::string>(std::move(token))),
      http_(io.executor(), {.io_deadline = std::chrono::minutes(5)}),
      api_(http_, server.url(), [token = token_] { return give(token); }) {}

net::Async<Result<void>> apply_load_app(protocol::ApiClient& api) {
    // The payload of a job is its spec: this makes it about 1 KiB.
    const std::string toml = "app = \"load\"\n[[component]]\nname = \"job\"\ntype = \"bundle\"\n"
                             "source = { git = \"https://git.invalid/load\", ref = \"main\" }\n"
                             "[component.run]\nenvironment = { PAYLOAD = \"" +
                             std::string(640, 'x') + "\" }\n";
    CONSIGN_CO_CHECK(co_await api.call<protocol::AppView>(net::Verb::put, "/v1/apps/load",
                                                          protocol::ApplyAppRequest{.toml = toml}));
    co_return Result<void>{};
}

net::Async<Result<void>> enqueue(protocol::ApiClient& api) {
    CONSIGN_CO_CHECK(co_await api.call<protocol::List<protocol::BuildView>>(
        net::Verb::post, "/v1/builds", protocol::CreateBuildsRequest{.app = "load"}));
    co_return Result<void>{};
}

net::Async<Result<std::string>> enroll_agent(protocol::ApiClient& owner) {
    CONSIGN_CO_TRY(token, co_await owner.call<protocol::EnrollTokenView>(
                              net::Verb::post, "/v1/agents/enroll-token", protocol::EnrollTokenRequest{}));
    const auto key = PrivateKey::generate();
    CONSIGN_CO_TRY(enrolled, co_await owner.call<protocol::EnrollResponse>(
                                 net::Verb::post, "/v1/agents/enroll",
                                 protocol::EnrollRequest{.token = token.token,
                                                         .public_key = key.public_key().to_pem(),
                                                         .kind = protocol::AgentKind::build,
                                                         .version = "bench",
                                                         .hostname = "bench"}));
    const auto now = to_millis(SystemClock().now()) / 1000;
    const json::Value claims{{"iss", enrolled.agent.str()},
                             {"sub", enrolled.agent.str()},
                             {"aud", enrolled.ims},
                             {"iat", now},
                             {"exp", now + 60},
                             {"jti", random_token("j")}};
    const auto form = "grant_type=client_credentials&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%"
                      "3Aclient-assertion-type%3Ajwt-bearer"
                      "&client_assertion=" +
                      jwt::sign(claims, key);
    CONSIGN_CO_TRY(
        text, co_await owner.send(net::Verb::post, "/v1/token", form, "application/x-www-form-urlencoded"));
    CONSIGN_CO_TRY(access, json::decode_text<protocol::TokenResponse>(text));
    co_return access.access_token;
}

std::filesystem::path find_program(std::string_view name) {
    const char* value = std::getenv("PATH");
    std::string_view rest = value ? value : "/usr/bin";
    while (!rest.empty()) {
        const auto part = rest.substr(0, rest.find(':'));
        rest.remove_prefix(std::min(rest.size(), part.size() + 1));
        if (auto path = std::filesystem::path(part) / name; std::filesystem::exists(path)) return path;
    }
    return {};
}

std::uint16_t free_port() {
    const Fd probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{
        .sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
    socklen_t size = sizeof address;
    if (::bind(probe.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::getsockname(probe.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
        give_up("find a port", Error{Code::internal, "bind failed"});
    return ntohs(address.sin_port);
}

} // namespace bench

int main(int argc, char** argv) {
    const std::string name = argc > 1 ? argv[1] : "";
    const std::filesystem::path binary = argc > 2 ? argv[2] : "";
    if (argc == 3 && name == "footprint") return bench::footprint(binary);
    if (argc == 3 && name == "dispatch") return bench::dispatch(binary);
    if (argc == 3 && name == "dispatch-alone") return bench::dispatch_alone(binary);
    if (argc == 3 && name == "polls") return bench::polls(binary);
    if (argc == 3 && name == "pack") return bench::pack(binary);
    if (argc == 3 && name == "copy") return bench::copy(binary);
    if (argc == 3 && name == "registry") return bench::registry(binary);
    std::cerr << "usage: consign_bench footprint|dispatch|dispatch-alone|polls|pack|copy|registry BINARY\n";
    return 2;
}
