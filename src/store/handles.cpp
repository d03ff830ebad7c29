#include "handles.hpp"
#include <cerrno>

namespace consign::store {

namespace {

// A full disk shows as SQLITE_FULL from a write, but as an I/O error from the WAL index, which is a mapping.
bool is_disk_full(sqlite3* database, int result) {
    if ((result & 0xff) == SQLITE_FULL) return true;
    const int system = sqlite3_system_errno(database);
    return (result & 0xff) == SQLITE_IOERR && (system == ENOSPC || system == EDQUOT);
}

Code code_of(sqlite3* database, int result) {
    if (is_disk_full(database, result)) return Code::storage_full;
    switch (result) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
    case SQLITE_CONSTRAINT_FOREIGNKEY:
        return Code::conflict;
    default:
        break;
    }
    switch (result & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return Code::corrupt;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return Code::unavailable;
    case SQLITE_TOOBIG:
        return Code::too_large;
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        return Code::permission_denied;
    default:
        return Code::internal;
    }
}

std::string hint_for(Code code) {
    switch (code) {
    case Code::storage_full:
        return "free some space on the disk that holds the database; nothing else is needed";
    case Code::corrupt:
        return "restore the database from a backup";
    case Code::unavailable:
        return "another process holds the database; try again";
    default:
        return {};
    }
}

} // namespace

Error sqlite_error(sqlite3* database, int result, std::string_view doing) {
    const int extended = database ? sqlite3_extended_errcode(database) : result;
    // The extended code names the constraint; it is only trustworthy when it belongs to the same failure.
    const int code = (extended & 0xff) == (result & 0xff) ? extended : result;
    std::string text = database ? sqlite3_errmsg(database) : sqlite3_errstr(result);
    if (!doing.empty()) text += " (in " + std::string(doing.substr(0, 120)) + ")";
    const auto kind = code_of(database, code);
    return Error{kind, "database: " + text, hint_for(kind)};
}

} // namespace consign::store
