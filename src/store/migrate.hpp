#pragma once
#include "connection.hpp"

namespace consign::store {

/// Brings the database of `connection` (the file at `path`) to the last of `migrations`; see open_sqlite().
Result<void> migrate(SqliteConnection& connection, const std::filesystem::path& path,
                     std::span<const Migration> migrations);

} // namespace consign::store
