// A store with many ended jobs: one is run by a server, and what it left behind is multiplied in the stopped
// server's database. A million through the API would take ten minutes.
#include "dispatch.hpp"
#include <sqlite3.h>

namespace bench {
namespace {

/// ulid(ms): what follows the prefix in an id.
void ulid(sqlite3_context* context, int, sqlite3_value** arguments) {
    const auto text = new_ulid(from_millis(sqlite3_value_int64(arguments[0])));
    sqlite3_result_text(context, text.c_str(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
}

// One job every ten milliseconds until now. Everything else, payload included, is as the one job has it.
constexpr std::string_view kMultiply = R"sql(
CREATE TEMP TABLE one AS SELECT * FROM jobs LIMIT 1;
CREATE TEMP TABLE old AS
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $JOBS)
SELECT i, created_at - 10 * ($JOBS - i + 1) AS at,
       'bld_' || ulid(created_at - 10 * ($JOBS - i + 1)) AS build,
       'job_' || ulid(created_at - 10 * ($JOBS - i + 1)) AS job FROM n, one;
INSERT INTO jobs(id, kind, state, app, component, build, attempt, max_attempts, epoch, agent, spec, result, error,
                 completion, created_at, started_at, finished_at)
SELECT old.job, kind, state, app, component, old.build, attempt, max_attempts, epoch, agent,
       replace(spec, one.build, old.build), result, error, completion, old.at, old.at + 5, old.at + 8
FROM old, one;
INSERT INTO builds(id, app, component, config_version, job, state, repository, error, created_at, finished_at)
SELECT old.build, app, component, config_version, old.job, state, repository, error, old.at, old.at + 8
FROM old, (SELECT * FROM builds LIMIT 1);
INSERT INTO job_attempts(job, epoch, attempt, agent, claimed_at)
SELECT old.job, epoch, attempt, agent, old.at + 2 FROM old, (SELECT * FROM job_attempts LIMIT 1);
INSERT INTO events(at, kind, app, component, job, detail)
SELECT old.at + 2, kind, e.app, e.component, old.job, detail
FROM old, (SELECT * FROM events WHERE job = (SELECT id FROM one)) e ORDER BY old.i, e.seq;
INSERT INTO audit(at, actor, action, subject, detail)
SELECT old.at, actor, action, subject, detail
FROM old, (SELECT * FROM audit WHERE action = 'build.create' LIMIT 1);
)sql";

void execute(sqlite3* db, const std::string& sql) {
    char* message = nullptr;
    if (sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &message) != SQLITE_OK)
        give_up("write the history", Error{Code::internal, message ? message : "SQLite failed"});
}

std::string with_count(std::string text, int jobs) {
    constexpr std::string_view kPlace = "$JOBS";
    for (auto at = text.find(kPlace); at != std::string::npos; at = text.find(kPlace, at))
        text.replace(at, kPlace.size(), std::to_string(jobs));
    return text;
}

} // namespace

std::filesystem::path make_history(const std::filesystem::path& binary,
                                   const std::filesystem::path& directory, int jobs) {
    const auto data = run_one_job(binary, directory);
    sqlite3* db = nullptr;
    if (sqlite3_open((data / "ims.db").c_str(), &db) != SQLITE_OK)
        give_up("open the store", Error{Code::internal, sqlite3_errmsg(db)});
    sqlite3_create_function(db, "ulid", 1, SQLITE_UTF8, nullptr, ulid, nullptr, nullptr);
    // Nobody else has it, and what a crash leaves is thrown away: no journal, which would be as large again.
    execute(db, "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA temp_store=FILE; BEGIN;" +
                    with_count(std::string(kMultiply), jobs) + "COMMIT; PRAGMA journal_mode=WAL;");
    sqlite3_close(db);
    return data;
}

} // namespace bench
