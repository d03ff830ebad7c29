#include "source.hpp"
#include <algorithm>
#include <cstring>
#include <format>
#include <unistd.h>

namespace consign::oci {

namespace {

Error wrong(const Descriptor& expected, std::string_view from, std::string_view what) {
    return {Code::corrupt, std::format("{} from {}: {}", expected.digest.str(), from, what),
            "the copy there is damaged; fetch or build it again"};
}

/// Reads and hashes where it may block.
class FileSource final : public net::Source {
  public:
    FileSource(net::FileBody body, Descriptor expected, net::BlockingPool& pool)
        : state_(std::make_shared<State>(std::move(body), std::move(expected))), pool_(pool) {}

    net::Async<Result<std::size_t>> read(std::span<std::byte> into) override {
        // The read ends before the caller resumes, even a cancelled one, so `into` stays valid.
        co_return co_await pool_.run([state = state_, into] { return state->read(into); });
    }

  private:
    struct State {
        State(net::FileBody b, Descriptor e)
            : body(std::move(b)), expected(std::move(e)), hasher(expected.digest.algorithm()) {}

        Result<std::size_t> read(std::span<std::byte> into) {
            if (done == body.size && (done > 0 || verified)) return 0;
            const auto wanted = std::min<std::uint64_t>(into.size(), body.size - done);
            const auto got = wanted == 0 ? 0
                                         : ::pread(body.file->get(), into.data(), wanted,
                                                   static_cast<off_t>(body.offset + done));
            if (got < 0) return fail_errno("read " + expected.digest.str(), errno);
            if (got == 0 && wanted > 0)
                return std::unexpected(wrong(expected, "the store", "the file is too short"));
            hasher.update(into.first(static_cast<std::size_t>(got)));
            done += static_cast<std::uint64_t>(got);
            if (done == body.size && !verified) {
                verified = true;
                if (body.size != expected.size || hasher.finish() != expected.digest)
                    return std::unexpected(
                        wrong(expected, "the store", "the bytes are not what the digest says"));
            }
            return static_cast<std::size_t>(got);
        }

        net::FileBody body;
        Descriptor expected;
        Hasher hasher;
        std::uint64_t done = 0;
        bool verified = false;
    };
    std::shared_ptr<State> state_;
    net::BlockingPool& pool_;
};

} // namespace

net::Async<Result<std::size_t>> TextSource::read(std::span<std::byte> into) {
    const auto count = std::min(into.size(), rest_.size());
    if (count > 0) std::memcpy(into.data(), rest_.data(), count);
    rest_.remove_prefix(count);
    co_return count;
}

VerifyingSource::VerifyingSource(std::unique_ptr<net::Source> inner, Descriptor expected, std::string from)
    : inner_(std::move(inner)), expected_(std::move(expected)), from_(std::move(from)),
      hasher_(expected_.digest.algorithm()) {}

net::Async<Result<std::size_t>> VerifyingSource::read(std::span<std::byte> into) {
    if (failure_) co_return std::unexpected(*failure_);
    CONSIGN_CO_TRY(count, co_await inner_->read(into));
    auto taken = take(ByteView(into).first(count));
    if (taken && *taken > 0 && verified_) {
        // A reader that knows the size may stop here, so what comes too much must be found now.
        std::byte extra{};
        const auto more = co_await inner_->read(std::span(&extra, 1));
        if (more && *more > 0) taken = take(ByteView(&extra, 1));
    }
    if (!taken) failure_ = taken.error();
    co_return taken;
}

Result<std::size_t> VerifyingSource::take(ByteView piece) {
    seen_ += piece.size();
    if (seen_ > expected_.size)
        return std::unexpected(
            wrong(expected_, from_, std::format("more than the {} bytes it should have", expected_.size)));
    if (piece.empty() && seen_ < expected_.size)
        return std::unexpected(
            wrong(expected_, from_, std::format("{} bytes instead of {}", seen_, expected_.size)));
    if (!verified_) hasher_.update(piece);
    if (seen_ == expected_.size && !verified_) {
        verified_ = true;
        if (hasher_.finish() != expected_.digest)
            return std::unexpected(wrong(expected_, from_, "the bytes are not what the digest says"));
    }
    return piece.size();
}

net::Async<Result<std::size_t>> CountingSource::read(std::span<std::byte> into) {
    auto count = co_await inner_->read(into);
    if (count && *count > 0) on_piece_(*count);
    co_return count;
}

net::Async<Result<std::size_t>> WatchedSource::read(std::span<std::byte> into) {
    auto count = co_await inner_->read(into);
    if (!count && !failure_) failure_ = count.error();
    co_return count;
}

net::Async<Result<std::size_t>> SliceSource::read(std::span<std::byte> into) {
    if (left_ == 0) co_return std::size_t{0};
    auto count = co_await inner_->read(
        into.first(static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), left_))));
    if (count) left_ -= *count;
    co_return count;
}

net::Async<Result<void>> skip(net::Source& source, std::uint64_t bytes) {
    if (bytes == 0) co_return Result<void>{};
    Bytes scratch(static_cast<std::size_t>(std::min<std::uint64_t>(bytes, 64 * 1024)));
    while (bytes > 0) {
        const auto room = std::span(scratch).first(
            static_cast<std::size_t>(std::min<std::uint64_t>(bytes, scratch.size())));
        CONSIGN_CO_TRY(count, co_await source.read(room));
        if (count == 0)
            co_return fail(Code::corrupt, std::format("the content ends {} bytes too early", bytes));
        bytes -= count;
    }
    co_return Result<void>{};
}

std::unique_ptr<net::Source> make_file_source(net::FileBody body, Descriptor expected,
                                              net::BlockingPool& pool) {
    return std::make_unique<FileSource>(std::move(body), std::move(expected), pool);
}

net::Async<Filled> read_full(net::Source& source, std::span<std::byte> into) {
    Filled out;
    while (out.size < into.size()) {
        auto count = co_await source.read(into.subspan(out.size));
        if (!count) out.error = std::move(count).error();
        if (!count || *count == 0) {
            out.ended = true;
            break;
        }
        out.size += *count;
    }
    co_return out;
}

} // namespace consign::oci
