#include "events.hpp"

namespace consign::ims::events {

Result<std::vector<protocol::EventView>> after(store::Connection& c, std::int64_t after, Limit limit) {
    std::vector<protocol::EventView> found;
    std::size_t bytes = 0;
    CONSIGN_CHECK(
        c.query("SELECT seq, at, kind, app, COALESCE(i.name, ''), component, job, deploy, detail FROM "
                "(SELECT * FROM events WHERE seq > $1 ORDER BY seq LIMIT $2) e LEFT JOIN "
                "(SELECT id AS install_id, name FROM installs) i ON i.install_id = e.install ORDER BY seq",
                {after, limit.rows}, [&](const store::Row& row) {
                    protocol::EventView view{.seq = row.integer(0),
                                             .at = row.time(1),
                                             .kind = row.string(2),
                                             .app = row.string(3),
                                             .install = row.string(4),
                                             .component = row.string(5)};
                    if (!row.is_null(6)) view.job = row.id<JobId>(6);
                    if (!row.is_null(7)) view.deploy = row.id<DeployId>(7);
                    view.detail = row.string(8);
                    bytes += view.detail.size();
                    found.push_back(std::move(view));
                    return bytes < limit.bytes;
                }));
    return found;
}

Result<std::int64_t> newest(store::Connection& c) {
    CONSIGN_TRY(seq, c.query_one("SELECT COALESCE(MAX(seq), 0) FROM events", {},
                                 [](const store::Row& row) { return row.integer(0); }));
    return seq.value_or(0);
}

} // namespace consign::ims::events
