#pragma once
// The schema of the job store, step by step.
#include "consign/store/database.hpp"

namespace consign::ims {

inline constexpr store::Migration kMigrations[] = {
    {1,
#include "embedded/ims/migrations/0001_ims.sql.inc"
    },
    {2,
#include "embedded/ims/migrations/0002_limits.sql.inc"
    }};

} // namespace consign::ims
