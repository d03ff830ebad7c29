#include "resume_store.hpp"
#include <format>

namespace consign::oci {

namespace {

using net::Async;

struct Upload {
    std::string id;
    std::uint64_t size = 0;
};

Async<void> remember(const Push& push, std::string session) {
    if (push.remember) co_await push.remember(std::move(session));
}

Async<Result<Upload>> continue_or_begin(BlobStore& store, const Push& push) {
    if (!push.session.empty()) {
        const auto size = co_await store.upload_size(push.session);
        if (size && *size <= push.blob.size) co_return Upload{.id = push.session, .size = *size};
        if (size) (void)co_await store.abandon(push.session);
    }
    CONSIGN_CO_TRY(id, co_await store.begin_upload());
    co_await remember(push, id);
    co_return Upload{.id = id, .size = 0};
}

Async<Result<void>> append_rest(BlobStore& store, const Push& push, const Upload& upload) {
    if (upload.size == push.blob.size && upload.size > 0) co_return Result<void>{};
    CONSIGN_CO_TRY(content, co_await push.open(upload.size));
    CONSIGN_CO_TRY(size, co_await store.append(upload.id, *content, push.blob.digest.algorithm()));
    if (size != push.blob.size)
        co_return fail(Code::corrupt, std::format("{}: {} bytes instead of {}", push.blob.digest.str(), size,
                                                  push.blob.size));
    co_return Result<void>{};
}

} // namespace

Async<Result<BlobStore::Finished>> resume_into(BlobStore& store, Push push) {
    for (;;) {
        CONSIGN_CO_TRY(upload, co_await continue_or_begin(store, push));
        if (upload.size > 0 && push.on_spared) push.on_spared(upload.size);
        Result<BlobStore::Finished> finished;
        const auto appended = co_await append_rest(store, push, upload);
        if (appended)
            finished = co_await store.finish(upload.id, push.blob.digest);
        else
            finished = std::unexpected(appended.error());
        if (finished) {
            co_await remember(push, "");
            co_return finished;
        }
        // What came is kept for the next attempt, unless it is wrong or nobody will remember it.
        const bool wrong = finished.error().code == Code::corrupt;
        if (wrong || !push.remember) {
            (void)co_await store.abandon(upload.id);
            co_await remember(push, "");
        }
        if (!wrong || upload.size == 0) co_return finished;
        push.session.clear(); // its beginning was damaged, by a power cut perhaps
    }
}

} // namespace consign::oci
