#include "upload.hpp"
#include <algorithm>

namespace consign::oci {

namespace {
constexpr std::size_t kWaitingHashes = 1024; // some 300 bytes each
}

UploadTable::Claim::~Claim() {
    if (!table_) return;
    if (!keep_) hash.reset();
    table_->give_back(id_, std::move(hash));
}

Result<std::shared_ptr<UploadTable::Claim>> UploadTable::claim(std::shared_ptr<UploadTable> table,
                                                               const std::string& id) {
    std::optional<RunningHash> hash;
    {
        const std::lock_guard lock(table->mutex_);
        auto& entry = table->entries_[id];
        if (entry.busy)
            return fail(Code::conflict, "upload " + id + " is being written by another request",
                        "wait for it, then ask for its range");
        entry.busy = true;
        hash = std::exchange(entry.hash, std::nullopt);
    }
    return std::make_shared<Claim>(std::move(table), id, std::move(hash));
}

void UploadTable::give_back(const std::string& id, std::optional<RunningHash> hash) {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(id);
    if (found == entries_.end()) return;
    if (!hash) {
        entries_.erase(found);
        return;
    }
    if (entries_.size() > kWaitingHashes) make_room();
    found->second.hash = std::move(hash);
    found->second.busy = false;
}

void UploadTable::begun(const std::string& id) {
    const std::lock_guard lock(mutex_);
    if (entries_.size() >= kWaitingHashes) make_room();
    if (entries_.size() < kWaitingHashes) entries_[id] = {.busy = false, .hash = RunningHash("sha256")};
}

std::optional<std::uint64_t> UploadTable::size(const std::string& id) {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(id);
    if (found == entries_.end() || found->second.busy || !found->second.hash) return std::nullopt;
    return found->second.hash->size;
}

void UploadTable::forget_waiting() {
    const std::lock_guard lock(mutex_);
    std::erase_if(entries_, [](const auto& item) { return !item.second.busy; });
}

// Ids are random, so the first is as good as any.
void UploadTable::make_room() {
    const auto waiting = std::ranges::find_if(entries_, [](const auto& item) { return !item.second.busy; });
    if (waiting != entries_.end()) entries_.erase(waiting);
}

bool is_upload_id(std::string_view id) {
    return id.size() == 32 &&
           std::ranges::all_of(id, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

} // namespace consign::oci
