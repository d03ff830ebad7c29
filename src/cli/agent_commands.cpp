#include "cli/commands.hpp"
#include "cli/exit_code.hpp"
#include "cli/views.hpp"
#include <format>

namespace consign::cli {
namespace {

using namespace protocol;

Result<int> list(Context& context) {
    CONSIGN_TRY(agents, context.get<List<AgentView>>("/v1/agents"));
    Table table({"AGENT", "KIND", "INSTALL", "STATE", "LAST SEEN", "HOST", "VERSION"});
    for (const auto& agent : agents.items)
        table.add({agent.id.str(), json::name_of(agent.kind), agent.install,
                   state_cell(agent.revoked  ? "revoked"
                              : agent.draining ? "draining"
                              : agent.online   ? "online"
                                               : "offline"),
                   ago(agent.last_seen, context.now()), agent.hostname, agent.version});
    context.print_list(agents, table, "no agents yet: consign agent enroll, or consign install enroll NAME");
    return kDone;
}

Result<int> enroll(Context& context, std::chrono::seconds ttl) {
    CONSIGN_TRY(token, context.call<EnrollTokenView>(net::Verb::post, "/v1/agents/enroll-token",
                                                     EnrollTokenRequest{static_cast<int>(ttl.count())}));
    if (context.json()) {
        context.print_json(token);
        return kDone;
    }
    context.note(std::format("run this where the build agent shall live; the token works once, within {}:",
                             humanize(ttl)));
    context.print_foreign(token.command);
    return kDone;
}

Result<int> revoke(Context& context, const std::string& id) {
    CONSIGN_CHECK(context.call<json::Value>(net::Verb::post, path_of("/v1/agents/", id, "/revoke")));
    if (context.json())
        context.print_json(json::Value{{"id", id}, {"revoked", true}});
    else
        context.print(id + " revoked: it can no longer reach this IMS");
    return kDone;
}

/// A request about one agent that answers with nothing but success.
Result<int> tell(Context& context, const std::string& id, std::string_view action, std::string_view done) {
    CONSIGN_CHECK(context.call<json::Value>(net::Verb::post, path_of("/v1/agents/", id, action)));
    if (context.json())
        context.print_json(json::Value{{"id", id}, {"done", true}});
    else
        context.print(id + " " + std::string(done));
    return kDone;
}

} // namespace

CommandSpec agent_command() {
    const auto ttl = std::make_shared<std::chrono::seconds>(std::chrono::hours(1));
    const auto id = std::make_shared<std::string>();
    const auto request = [id](std::string name, std::string summary, std::string done) -> CommandSpec {
        return {.name = name,
                .summary = std::move(summary),
                .examples = {"consign agent " + name + " agt_01J…"},
                .options = {positional("ID", "the agent's id", *id)},
                .run = [id, name, done](Context& context) { return tell(context, *id, "/" + name, done); }};
    };
    return {
        .name = "agent",
        .summary = "Agents: who is there, enrol a build agent, drain, rotate or revoke one",
        .commands = {
            {.name = "list",
             .summary = "All agents",
             .examples = {"consign agent list"},
             .run = [](Context& context) { return list(context); }},
            {.name = "enroll",
             .summary = "Print the command that starts a new build agent",
             .examples = {"consign agent enroll --ttl 1h"},
             .options = {option("--ttl", "TIME", "how long the token is good, 1m to 7d; default 1h", *ttl)},
             .run = [ttl](Context& context) { return enroll(context, *ttl); }},
            {.name = "revoke",
             .summary = "Lock an agent out for good",
             .examples = {"consign agent revoke agt_01J…"},
             .options = {positional("ID", "the agent's id", *id)},
             .run = [id](Context& context) { return revoke(context, *id); }},
            request("drain", "Let an agent finish what it has, and give it nothing new",
                    "is draining: let it go on with `consign agent resume`"),
            request("resume", "Give a drained agent work again", "takes work again"),
            request("rotate-key", "Ask an agent to make itself a new key",
                    "makes a new key with its next poll; the old one is worth nothing after that"),
        }};
}

} // namespace consign::cli
