#include "transfer_journal.hpp"
#include "consign/base/file.hpp"
#include "consign/base/json.hpp"
#include "consign/base/log.hpp"

namespace consign::oci {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFileLimit = 64 * 1024;
constexpr auto kKeptFor =
    std::chrono::hours(7 * 24); // registries drop abandoned uploads after a day or a week

struct Kept {
    std::string target;
    std::string digest;
    std::uint64_t size = 0;
    std::string session;

    static constexpr auto fields(auto& self, auto&& f) {
        f("target", self.target);
        f("digest", self.digest);
        f("size", self.size);
        f("session", self.session);
    }
};

void drop_old(const fs::path& directory) {
    std::error_code ignored;
    const auto oldest = fs::file_time_type::clock::now() - kKeptFor;
    for (const auto& entry : fs::directory_iterator(directory, ignored))
        if (entry.path().extension() == ".json" && entry.last_write_time(ignored) < oldest)
            fs::remove(entry.path(), ignored);
}

std::string load(const fs::path& path, const std::string& target, const Descriptor& blob) {
    const auto text = read_file(path, kFileLimit);
    if (!text) return {};
    const auto kept = json::decode_text<Kept>(*text);
    if (!kept || kept->target != target || kept->digest != blob.digest.str() || kept->size != blob.size)
        return {};
    return kept->session;
}

void save(const fs::path& path, const Kept& kept) {
    if (kept.session.empty()) {
        std::error_code ignored;
        fs::remove(path, ignored);
        return;
    }
    auto saved = make_directories(path.parent_path(), 0700);
    if (saved) saved = write_file_atomic(path, json::to_text(kept), 0600);
    if (!saved) log::warn("cannot note how far a transfer is", {{"error", to_string(saved.error())}});
}

} // namespace

TransferJournal::TransferJournal(fs::path directory) : directory_(std::move(directory)) {
    if (!directory_.empty()) pool_.emplace(1);
}

fs::path TransferJournal::path_of(const std::string& target, const Descriptor& blob) const {
    return directory_ / (sha256_hex(target + "\n" + blob.digest.str()).substr(0, 40) + ".json");
}

net::Async<std::string> TransferJournal::find(std::string target, Descriptor blob) {
    if (!on()) co_return "";
    const auto path = path_of(target, blob);
    co_return co_await pool_->run([path, target, blob] {
        drop_old(path.parent_path());
        return load(path, target, blob);
    });
}

net::Async<void> TransferJournal::keep(std::string target, Descriptor blob, std::string session) {
    if (!on()) co_return;
    const auto path = path_of(target, blob);
    (void)co_await pool_->run(
        [path,
         kept = Kept{.target = target, .digest = blob.digest.str(), .size = blob.size, .session = session}] {
            save(path, kept);
            return true;
        });
}

} // namespace consign::oci
