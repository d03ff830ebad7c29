#pragma once
// The API's objects as people read them.
#include "cli/context.hpp"
#include "consign/protocol/user_api.hpp"

namespace consign::cli {

void show_app(Context& context, const protocol::AppView& app);
void show_build(Context& context, const protocol::BuildView& build);
void show_install(Context& context, const protocol::InstallView& install);
void show_deploy(Context& context, const protocol::DeployView& deploy);
void show_job(Context& context, const protocol::JobView& job);

Table table_of_builds(Context& context, const std::vector<protocol::BuildView>& builds);
Table table_of_jobs(Context& context, const std::vector<protocol::JobView>& jobs);

Cell state_cell(std::string_view state);
std::string waiting_text(const std::optional<protocol::WaitingFor>& waiting);

} // namespace consign::cli
