#include "fleet.hpp"
#include "consign/base/jwt.hpp"
#include <format>
#include <sqlite3.h>

namespace bench {
namespace {

void run(sqlite3* db, const std::string& sql) {
    char* message = nullptr;
    if (sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &message) != SQLITE_OK)
        give_up("write the fleet", Error{Code::internal, message ? message : "SQLite failed"});
}

std::string ims_of(sqlite3* db) {
    std::string id;
    sqlite3_exec(db, "SELECT value FROM meta WHERE key='ims'",
                 [](void* into, int, char** values, char**) {
                     *static_cast<std::string*>(into) = values[0];
                     return 0;
                 },
                 &id, nullptr);
    return id;
}

} // namespace

std::vector<std::string> make_fleet(const std::filesystem::path& binary, const std::filesystem::path& data,
                                    int agents) {
    {
        Server server(binary);
        net::IoThread io;
        Client owner(io, server, server.owner_token());
        need(io.run(apply_load_app(owner.api())), "apply an app");
        server.stop();
        std::filesystem::rename(server.data(), data);
    }
    sqlite3* db = nullptr;
    if (sqlite3_open((data / "ims.db").c_str(), &db) != SQLITE_OK)
        give_up("open the store", Error{Code::internal, sqlite3_errmsg(db)});
    const auto now = SystemClock().now();
    const auto seconds = to_millis(now) / 1000;
    const auto ims = ims_of(db);
    const auto key = need(PrivateKey::load_or_create(data / "keys" / "token.pem"), "read the token key");
    const auto pem = PrivateKey::generate().public_key().to_pem(); // nobody signs with it
    std::vector<std::string> tokens;
    run(db, "BEGIN");
    for (int i = 0; i < agents; ++i) {
        const auto id = AgentId::make(now).str();
        run(db, std::format("INSERT INTO agents(id, kind, public_key, version, hostname, enrolled_at) VALUES "
                            "('{}','build','{}','bench','bench',{})",
                            id, pem, to_millis(now)));
        tokens.push_back(jwt::sign(
            {{"iss", ims}, {"sub", id}, {"aud", "consign"}, {"iat", seconds}, {"exp", seconds + 3600}}, key));
    }
    run(db, "COMMIT");
    sqlite3_close(db);
    return tokens;
}

} // namespace bench
