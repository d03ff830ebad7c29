#pragma once
// What a command's body has: the global flags, the console, and one IMS to talk to.
#include "cli/command.hpp"
#include "cli/output.hpp"
#include "consign/cli/cli.hpp"
#include "consign/protocol/client.hpp"
#include <memory>
#include <stop_token>

namespace consign::cli {

struct GlobalFlags {
    std::string url = "http://127.0.0.1:8400";
    Secret<std::string> token;
    Origin token_origin = Origin::file;
    std::string token_file;
    Origin token_file_origin = Origin::file;
    std::string output = "table";
    std::string ca_file;
    std::string config; ///< read by the parser
    bool no_color = false;
    bool help = false, version = false;
};
std::vector<OptionSpec> global_options(GlobalFlags& flags);

/// The connection to the IMS: coroutines run on its own I/O thread, the caller blocks.
class Connection {
  public:
    Connection(net::Url url, Secret<std::string> token, const std::string& ca_file);
    ~Connection();
    net::IoThread& io() { return io_; }
    protocol::ApiClient& api() { return *api_; }
    const Secret<std::string>& token() const { return token_; }

  private:
    static net::Async<Result<void>> close(Connection* self);
    net::IoThread io_;
    Secret<std::string> token_;
    std::unique_ptr<net::Client> http_;
    std::unique_ptr<protocol::ApiClient> api_;
};

class Context {
  public:
    Context(GlobalFlags flags, const Modes& modes, Console console)
        : flags_(std::move(flags)), modes_(modes), console_(console) {}

    const GlobalFlags& flags() const { return flags_; }
    const Modes& modes() const { return modes_; }
    const Console& console() const { return console_; }
    bool json() const { return flags_.output == "json"; }
    Time now() const { return SystemClock().now(); }

    /// Made on first use. unauthenticated when there is no token, invalid_argument for a bad URL.
    Result<Connection*> connect();
    /// The user's token from --token or --token-file, whichever comes from the stronger place.
    Result<Secret<std::string>> token() const;

    template <class Answer>
    Result<Answer> get(std::string path, protocol::CallOptions options = {}, std::stop_token stop = {}) {
        CONSIGN_TRY(connection, connect());
        return explained(
            connection->io().run(connection->api().template get<Answer>(std::move(path), options), stop));
    }
    template <class Answer, class Body = std::nullptr_t>
    Result<Answer> call(net::Verb verb, std::string path, Body body = {}) {
        CONSIGN_TRY(connection, connect());
        return explained(connection->io().run(
            connection->api().template call<Answer>(verb, std::move(path), std::move(body))));
    }
    /// The raw body of a GET.
    Result<std::string> get_text(std::string path, protocol::CallOptions options = {},
                                 std::stop_token stop = {});

    // Results, to stdout.
    void print(std::string_view text);         ///< ours, as it is; a new line is added if it has none
    void print_foreign(std::string_view text); ///< from a server: cleaned on a terminal
    template <class T>
    void print_json(const T& value) {
        print(json_text(json::encode(value), console_.out_terminal));
    }
    void print(const Table& table) { print(table.text(colour_out())); }
    void print(const Details& details) { print(details.text(colour_out())); }
    /// A list: JSON as it came, or the table; an empty one says `if_empty` on stderr.
    template <class T>
    void print_list(const T& list, const Table& table, std::string_view if_empty) {
        if (json())
            print_json(list);
        else if (table.empty())
            note(if_empty);
        else
            print(table);
    }
    /// False once standard output is gone, as after `consign logs JOB -f | head`: stop then.
    bool can_print() const { return console_.out->good(); }
    bool colour_out() const { return console_.colour && console_.out_terminal; }
    bool colour_err() const { return console_.colour && console_.err_terminal; }

    // Messages, to stderr.
    void note(std::string_view text);
    void print_error(const Error& error);
    /// For a body that finds the command line wrong: prints and gives the exit code for it.
    int usage(const Error& error);

  private:
    Error explain(Error error) const;
    template <class T>
    Result<T> explained(Result<T> result) const {
        if (!result) return std::unexpected(explain(std::move(result).error()));
        return result;
    }

    GlobalFlags flags_;
    const Modes& modes_;
    Console console_;
    std::unique_ptr<Connection> connection_;
};

/// "/v1/apps/" + the name, percent-encoded.
std::string path_of(std::string_view prefix, std::string_view name, std::string_view suffix = {});

} // namespace consign::cli
