// What a kind of repository does that has nothing better.
#include "consign/oci/repository.hpp"
#include "source.hpp"

namespace consign::oci {

net::Async<Result<std::unique_ptr<net::Source>>> Repository::fetch_blob_from(Descriptor blob,
                                                                             std::uint64_t offset) {
    CONSIGN_CO_TRY(source, co_await fetch_blob(std::move(blob)));
    CONSIGN_CO_CHECK(co_await skip(*source, offset));
    co_return std::move(source);
}

net::Async<Result<void>> Repository::push(Push push) {
    CONSIGN_CO_TRY(content, co_await push.open(0));
    co_return co_await push_blob(std::move(push.blob), *content);
}

net::Async<Result<std::vector<Descriptor>>> Repository::referrers(Digest) {
    co_return std::vector<Descriptor>{};
}

net::Async<Result<std::vector<std::string>>> Repository::tags() {
    co_return fail(Code::unsupported, describe() + " cannot list its tags");
}

net::Async<Result<void>> Repository::remove(TagOrDigest which) {
    co_return fail(Code::unsupported, "cannot remove " + which.str() + " from " + describe());
}

} // namespace consign::oci
