#pragma once
// Owners of SQLite's C objects, and the one place that turns its result codes into our errors.
#include "consign/base/error.hpp"
#include <memory>
#include <sqlite3.h>
#include <string_view>

namespace consign::store {

struct CloseDatabase {
    void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
};
struct FinalizeStatement {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using DatabaseHandle = std::unique_ptr<sqlite3, CloseDatabase>;
using StatementHandle = std::unique_ptr<sqlite3_stmt, FinalizeStatement>;

/// The Error of the last call on `database`, which returned `result`; `doing` (often the SQL) names it.
Error sqlite_error(sqlite3* database, int result, std::string_view doing);

} // namespace consign::store
