#pragma once
// One declaration per command group; each file holds the group's words, examples and bodies.
#include "cli/command.hpp"
#include "cli/context.hpp"

namespace consign::cli {

CommandSpec ims_command();
CommandSpec build_agent_command();
CommandSpec install_agent_command();
CommandSpec app_command();
CommandSpec build_command();
CommandSpec release_command();
CommandSpec install_command();
CommandSpec deploy_command();
CommandSpec teardown_command();
CommandSpec approve_command();
CommandSpec reject_command();
CommandSpec job_command();
CommandSpec logs_command();
CommandSpec agent_command();
CommandSpec user_command();
CommandSpec status_command();
CommandSpec events_command();
CommandSpec audit_command();
CommandSpec registry_command();

/// All of them below `consign` with its global flags, which must outlive the tree.
CommandSpec command_tree(GlobalFlags& flags);

} // namespace consign::cli
