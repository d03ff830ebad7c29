#include "cli/context.hpp"
#include "cli/exit_code.hpp"
#include "cli/text.hpp"
#include <format>

namespace consign::cli {
namespace {

net::Async<Result<std::string>> give(std::string token) { co_return token; }

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && std::string_view(" \t\r\n").contains(text.back())) text.remove_suffix(1);
    while (!text.empty() && std::string_view(" \t\r\n").contains(text.front())) text.remove_prefix(1);
    return text;
}

} // namespace

std::vector<OptionSpec> global_options(GlobalFlags& flags) {
    OptionSpec token{
        .names = "--token",
        .value = "TOKEN",
        .help = "user's token; others see it in the process list: prefer CONSIGN_TOKEN or --token-file",
        .set = [&flags](std::string_view text, Origin origin) -> Result<void> {
            flags.token = Secret<std::string>(std::string(text));
            flags.token_origin = origin;
            return {};
        }};
    OptionSpec token_file{.names = "--token-file",
                          .value = "FILE",
                          .help = "file that holds the token",
                          .set = [&flags](std::string_view text, Origin origin) -> Result<void> {
                              flags.token_file = text;
                              flags.token_file_origin = origin;
                              return {};
                          }};
    auto help = toggle("-h,--help", "this help, or that of a command", flags.help);
    auto version = toggle("--version", "the version", flags.version);
    help.command_line_only = version.command_line_only = true;
    return {option("--url", "URL", "where the management server (IMS) is; default http://127.0.0.1:8400",
                   flags.url),
            std::move(token),
            std::move(token_file),
            choice("-o,--output", "FORMAT", "how results are printed", flags.output, {"table", "json"}),
            toggle("--no-color", "no colours; so does NO_COLOR", flags.no_color),
            option("--ca-file", "FILE",
                   "PEM of the CA that signed the IMS's certificate; default the system's", flags.ca_file),
            option("--config", "FILE", "TOML file with settings named like the flags", flags.config),
            std::move(help),
            std::move(version)};
}

Connection::Connection(net::Url url, Secret<std::string> token, const std::string& ca_file)
    : token_(std::move(token)) {
    http_ = std::make_unique<net::Client>(io_.executor(), net::ClientOptions{.ca_file = ca_file});
    api_ = std::make_unique<protocol::ApiClient>(*http_, std::move(url),
                                                 [this] { return give(token_.reveal()); });
}

// The client may be touched on the I/O thread alone, and that includes its end.
Connection::~Connection() { (void)io_.run(close(this)); }

net::Async<Result<void>> Connection::close(Connection* self) {
    self->api_.reset();
    self->http_.reset();
    co_return Result<void>{};
}

Result<Secret<std::string>> Context::token() const {
    const bool from_file = !flags_.token_file.empty() &&
                           (flags_.token.empty() || flags_.token_file_origin > flags_.token_origin);
    if (!from_file) return flags_.token;
    CONSIGN_TRY(text, read_file(flags_.token_file, 64u << 10));
    const auto token = trimmed(text);
    if (token.empty())
        return fail(Code::invalid_argument, "the token file " + flags_.token_file + " is empty");
    return Secret<std::string>(std::string(token));
}

Result<Connection*> Context::connect() {
    if (connection_) return connection_.get();
    auto url = net::Url::parse(flags_.url);
    if (!url) return std::unexpected(with_context(url.error(), "--url"));
    CONSIGN_TRY(secret, token());
    if (secret.empty())
        return fail(Code::unauthenticated, "no token",
                    "set CONSIGN_TOKEN or CONSIGN_TOKEN_FILE; the owner's token is in owner.token of the "
                    "IMS's data directory");
    connection_ = std::make_unique<Connection>(*url, secret, flags_.ca_file);
    return connection_.get();
}

Result<std::string> Context::get_text(std::string path, protocol::CallOptions options, std::stop_token stop) {
    CONSIGN_TRY(connection, connect());
    return explained(
        connection->io().run(connection->api().send(net::Verb::get, std::move(path), {}, {}, options), stop));
}

Error Context::explain(Error error) const {
    if (!error.hint.empty()) return error;
    if (error.code == Code::unavailable)
        error.hint = "is the IMS running? --url or CONSIGN_URL says where it is: " + flags_.url;
    if (error.code == Code::unauthenticated)
        error.hint = "the token may be wrong, revoked or expired: check CONSIGN_TOKEN";
    return error;
}

void Context::print(std::string_view text) {
    *console_.out << text;
    if (!text.ends_with('\n')) *console_.out << '\n';
    console_.out->flush();
}

void Context::print_foreign(std::string_view text) {
    print(console_.out_terminal ? printable(text) : std::string(text));
}

void Context::note(std::string_view text) { *console_.err << printable(text, true) << std::endl; }

void Context::print_error(const Error& error) {
    *console_.err << toned("consign:", Tone::bad, colour_err()) << ' ' << printable(error.message, true)
                  << '\n';
    if (!error.hint.empty()) *console_.err << "  " << printable(error.hint, true) << '\n';
    console_.err->flush();
}

int Context::usage(const Error& error) {
    print_error(error);
    return kUsage;
}

std::string path_of(std::string_view prefix, std::string_view name, std::string_view suffix) {
    return std::string(prefix) + net::percent_encode(name) + std::string(suffix);
}

} // namespace consign::cli
