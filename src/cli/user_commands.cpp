#include "cli/commands.hpp"
#include "cli/exit_code.hpp"
#include "consign/protocol/user_api.hpp"

namespace consign::cli {
namespace {

using namespace protocol;

struct UserFlags {
    std::string name, role, id;
    int ttl_days = 0;
};

std::vector<std::string> role_names() {
    std::vector<std::string> out;
    for (const auto& [role, name] : json::EnumNames<Role>::names) out.emplace_back(name);
    return out;
}

Result<int> create(Context& context, const UserFlags& flags) {
    const auto role = json::enum_from<Role>(flags.role).value_or(Role::viewer); // the parser knows the words
    CONSIGN_TRY(token, context.call<TokenView>(net::Verb::post, "/v1/tokens",
                                               CreateTokenRequest{flags.name, role, flags.ttl_days}));
    if (context.json()) {
        context.print_json(token);
        return kDone;
    }
    context.note("the token of " + token.name + " (" + std::string(json::name_of(token.role)) +
                 "), shown this once; use it as CONSIGN_TOKEN:");
    context.print_foreign(token.token.value_or(""));
    return kDone;
}

Result<int> list(Context& context) {
    CONSIGN_TRY(tokens, context.get<List<TokenView>>("/v1/tokens"));
    Table table({"USER", "ROLE", "CREATED", "EXPIRES", "ID"});
    for (const auto& token : tokens.items)
        table.add({token.name, json::name_of(token.role), ago(token.created_at, context.now()),
                   token.expires_at ? ago(token.expires_at, context.now()) : "never", token.id.str()});
    context.print_list(tokens, table, "no users");
    return kDone;
}

Result<int> revoke(Context& context, const std::string& id) {
    CONSIGN_CHECK(context.call<json::Value>(net::Verb::delete_, path_of("/v1/tokens/", id)));
    if (context.json())
        context.print_json(json::Value{{"id", id}, {"revoked", true}});
    else
        context.print(id + " revoked");
    return kDone;
}

} // namespace

CommandSpec user_command() {
    const auto flags = std::make_shared<UserFlags>();
    return {.name = "user",
            .summary = "Tokens for people and CI",
            .commands = {
                {.name = "create",
                 .summary = "Make a user and print its token, once",
                 .examples = {"consign user create github --role ci --ttl-days 90"},
                 .options = {positional("NAME", "a name for the audit log", flags->name),
                             required(choice("--role", "ROLE", "what it may do", flags->role, role_names())),
                             option("--ttl-days", "N", "days until it expires; default never",
                                    flags->ttl_days, 0, kLongestTokenDays)},
                 .run = [flags](Context& context) { return create(context, *flags); }},
                {.name = "list",
                 .summary = "All users; tokens are never shown again",
                 .examples = {"consign user list"},
                 .run = [](Context& context) { return list(context); }},
                {.name = "revoke",
                 .summary = "End a user's token at once",
                 .examples = {"consign user revoke tok_01J…"},
                 .options = {positional("ID", "the token's id, from 'consign user list'", flags->id)},
                 .run = [flags](Context& context) { return revoke(context, flags->id); }},
            }};
}

} // namespace consign::cli
