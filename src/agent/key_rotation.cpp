#include "agent/key_rotation.hpp"
#include "consign/base/file.hpp"
#include "consign/base/log.hpp"
#include <cerrno>
#include <cstdio>

namespace consign::agent {
namespace {

std::filesystem::path current(const std::filesystem::path& data) { return data / "agent.key"; }
std::filesystem::path next(const std::filesystem::path& data) { return data / "agent.key.next"; }

Result<void> put_in_place(const std::filesystem::path& data) {
    if (::rename(next(data).c_str(), current(data).c_str()) != 0)
        return fail_errno("cannot put the new key in place of '" + current(data).string() + "'", errno);
    return fsync_directory(data);
}

} // namespace

bool rotation_is_unfinished(const std::filesystem::path& data) {
    std::error_code ignored;
    return std::filesystem::exists(next(data), ignored);
}

net::Async<Result<void>> rotate_key(net::IoThread& io, ImsLink& ims, std::filesystem::path data) {
    CONSIGN_CO_TRY(key, co_await io.blocking().run([data] { return PrivateKey::load_or_create(next(data)); }));
    CONSIGN_CO_CHECK(co_await ims.text(
        {.path = "/v1/agent/key",
         .body = json::to_text(protocol::RotateKeyRequest{.public_key = key.public_key().to_pem()})}));
    CONSIGN_CO_CHECK(co_await io.blocking().run([data] { return put_in_place(data); }));
    ims.credentials().use(key);
    // Its first use is what retires the old key: not left to whenever the next request comes.
    CONSIGN_CO_CHECK(co_await ims.credentials().token());
    log::info("the agent's key was rotated", {{"key", key.public_key().thumbprint()}});
    co_return Result<void>{};
}

} // namespace consign::agent
