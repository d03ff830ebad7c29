#include "migrations.hpp"

namespace consign::ims {
namespace {

constexpr store::Migration kMigrations[] = {
    {1,
#include "embedded/ims/migrations/0001_ims.sql.inc"
    },
    {2,
#include "embedded/ims/migrations/0002_limits.sql.inc"
    }};

} // namespace

std::span<const store::Migration> migrations() { return kMigrations; }

} // namespace consign::ims
