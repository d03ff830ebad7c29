#pragma once
// The schema of the job store, step by step.
#include "consign/store/database.hpp"
#include <span>

namespace consign::ims {

std::span<const store::Migration> migrations();

} // namespace consign::ims
