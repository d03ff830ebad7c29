#include "cli/commands.hpp"
#include "cli/exit_code.hpp"
#include "cli/registry_copy.hpp"
#include "cli/registry_inspect.hpp"
#include "cli/registry_upkeep.hpp"
#include "consign/oci/credentials.hpp"
#include <format>
#include <iostream>
#include <termios.h>
#include <unistd.h>

namespace consign::cli {
namespace {

struct RegistryFlags {
    std::string what; ///< a registry or a reference
    ReachFlags reach;
    std::string username;
    Secret<std::string> password;
    bool password_stdin = false;
    CopyFlags copy;
    UpkeepFlags upkeep;
};

// What -o json prints.
struct LoginView {
    std::string registry, username, stored_in;
    static constexpr auto fields(auto& self, auto&& f) {
        f("registry", self.registry);
        f("username", self.username);
        f("stored_in", self.stored_in);
    }
};
struct NamesView {
    std::vector<std::string> items;
    static constexpr auto fields(auto& self, auto&& f) { f("items", self.items); }
};
struct InspectView {
    std::string reference;
    std::uint64_t total_bytes = 0;
    Inspected root;
    static constexpr auto fields(auto& self, auto&& f) {
        f("reference", self.reference);
        f("total_bytes", self.total_bytes);
        f("root", self.root);
    }
};

// Coroutines are free functions: what a lambda captures would be gone when they resume.
net::Async<Result<bool>> ping(oci::RemoteRegistry* registry) {
    CONSIGN_CO_CHECK(co_await registry->ping());
    co_return true;
}
net::Async<Result<std::vector<std::string>>> list_repositories(oci::RemoteRegistry* registry) {
    return registry->repositories();
}
net::Async<Result<std::vector<std::string>>> list_tags(oci::Repository* repository) {
    return repository->tags();
}
net::Async<Result<bool>> remove_image(oci::Repository* repository, oci::TagOrDigest which) {
    CONSIGN_CO_CHECK(co_await repository->remove(std::move(which)));
    co_return true;
}

/// Without an echo, from the terminal.
Result<std::string> ask_hidden(const Console& console, std::string_view question) {
    *console.err << question << std::flush;
    termios before = {};
    const bool terminal = ::tcgetattr(STDIN_FILENO, &before) == 0;
    if (terminal) {
        auto hidden = before;
        hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    }
    std::string line;
    std::getline(std::cin, line);
    if (terminal) ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    *console.err << "\n";
    if (line.empty()) return fail(Code::invalid_argument, "no password was given");
    return line;
}

Result<Secret<std::string>> password_from_stdin() {
    std::string text((std::istreambuf_iterator<char>(std::cin)), {});
    while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
    if (text.empty()) return fail(Code::invalid_argument, "there is no password on standard input");
    return Secret<std::string>(std::move(text));
}

/// The credential of the flags, of the terminal, or for the IMS its own token.
Result<void> complete(Context& context, const Place& place, RegistryFlags& flags) {
    if (flags.password_stdin) {
        CONSIGN_TRY(password, password_from_stdin());
        flags.password = password;
    }
    if (flags.password.empty() && place.of_ims) {
        CONSIGN_TRY(token, context.token());
        flags.password = token;
    }
    if (place.of_ims && flags.username.empty())
        flags.username = "token"; // any will do: the token says who it is
    if (flags.password.empty() && ::isatty(STDIN_FILENO) == 1) {
        if (flags.username.empty()) {
            *context.console().err << "user name: " << std::flush;
            std::getline(std::cin, flags.username);
        }
        CONSIGN_TRY(password, ask_hidden(context.console(), "password: "));
        flags.password = Secret<std::string>(std::move(password));
    }
    if (flags.username.empty() || flags.password.empty())
        return fail(Code::invalid_argument, "a user name and a password are needed",
                    "consign registry login " + place.text + " --username USER --password-stdin <FILE");
    return {};
}

Result<int> login(Context& context, RegistryFlags flags) {
    auto place = parse_registry(flags.what);
    if (!place) return context.usage(place.error());
    if (flags.password_stdin && !flags.password.empty())
        return context.usage({Code::invalid_argument, "--password and --password-stdin exclude each other"});
    if (auto good = complete(context, *place, flags); !good) {
        if (good.error().code == Code::invalid_argument) return context.usage(good.error());
        return std::unexpected(good.error());
    }
    RegistryAccess access(context);
    CONSIGN_TRY(registry, access.registry_as(*place, flags.reach, flags.username, flags.password));
    CONSIGN_CHECK(access.run(ping(registry.get())));
    CONSIGN_TRY(host, access.host_of(*place));
    const oci::Credential credential{.username = flags.username, .password = flags.password};
    CONSIGN_TRY(where,
                oci::store_credential(oci::credential_places(oci::process_environment()), host, credential));
    if (context.json())
        context.print_json(LoginView{host, flags.username, where});
    else
        context.note("logged in to " + host + " as " + flags.username + "; the credential is in " + where);
    return kDone;
}

void print_names(Context& context, std::vector<std::string> names, const char* header,
                 std::string_view if_empty) {
    Table table({header});
    for (const auto& name : names) table.add({name});
    context.print_list(NamesView{std::move(names)}, table, if_empty);
}

Result<int> list(Context& context, const RegistryFlags& flags) {
    const auto place = parse_registry(flags.what);
    if (!place) return context.usage(place.error());
    RegistryAccess access(context);
    CONSIGN_TRY(registry, access.registry(*place, flags.reach));
    CONSIGN_TRY(names, access.run(list_repositories(registry.get())));
    print_names(context, names, "REPOSITORY", "no repositories");
    return kDone;
}

Result<int> tags(Context& context, const RegistryFlags& flags) {
    const auto place = parse_place(flags.what);
    if (!place) return context.usage(place.error());
    RegistryAccess access(context);
    CONSIGN_TRY(repository, access.open(*place, flags.reach));
    CONSIGN_TRY(names, access.run(list_tags(repository.get())));
    print_names(context, names, "TAG", "no tags");
    return kDone;
}

Result<int> inspect_image(Context& context, const RegistryFlags& flags) {
    const auto place = parse_place(flags.what);
    if (!place) return context.usage(place.error());
    if (place->kind == Place::Kind::remote && !place->named())
        return context.usage({Code::invalid_argument, "'" + place->text + "' has neither a tag nor a digest",
                              "consign registry tags " + place->text + " lists the tags"});
    RegistryAccess access(context);
    CONSIGN_TRY(repository, access.open(*place, flags.reach));
    CONSIGN_TRY(root, access.run(inspect(repository.get(), place->which)));
    const auto total = total_bytes(root);
    if (context.json()) {
        context.print_json(InspectView{place->text, total, root});
        return kDone;
    }
    std::string text;
    for (const auto& line : tree_of(root)) text += line + "\n";
    context.print_foreign(text);
    context.note(human_size(total) + " in all");
    return kDone;
}

Result<int> remove(Context& context, const RegistryFlags& flags) {
    const auto place = parse_place(flags.what);
    if (!place) return context.usage(place.error());
    if (!place->named())
        return context.usage({Code::invalid_argument, "'" + place->text + "' has neither a tag nor a digest",
                              "a whole repository is not removed at once"});
    RegistryAccess access(context);
    CONSIGN_TRY(repository, access.open(*place, flags.reach));
    CONSIGN_CHECK(access.run(remove_image(repository.get(), place->which)));
    if (context.json())
        context.print_json(protocol::Empty{});
    else
        context.note("removed " + place->text +
                     (place->which.digest ? "" : "; its content stays until the next gc"));
    return kDone;
}

Result<int> copy_command(Context& context, const CopyFlags& flags) {
    const auto source = parse_place(flags.source), target = parse_place(flags.target);
    for (const auto* place : {&source, &target})
        if (!*place) return context.usage(place->error());
    return copy_image(context, flags, *source, *target);
}

Place archive_at(const std::string& file) {
    Place place{.kind = Place::Kind::archive};
    place.path = file;
    place.text = file;
    return place;
}

Result<int> export_command(Context& context, const CopyFlags& flags) {
    const auto source = parse_place(flags.source);
    if (!source) return context.usage(source.error());
    return copy_image(context, flags, *source, archive_at(flags.target));
}

Result<int> import_command(Context& context, const CopyFlags& flags) {
    const auto target = parse_place(flags.target);
    if (!target) return context.usage(target.error());
    return copy_image(context, flags, archive_at(flags.source), *target);
}

std::vector<OptionSpec> joined(std::vector<OptionSpec> first, std::vector<OptionSpec> second) {
    std::ranges::move(second, std::back_inserter(first));
    return first;
}

OptionSpec optional(OptionSpec spec) {
    spec.required = false;
    return spec;
}

CommandSpec login_command(const std::shared_ptr<RegistryFlags>& flags) {
    auto password =
        option("--password", "PASSWORD",
               "the password; others see it in the process list: prefer --password-stdin", flags->password);
    password.command_line_only = true;
    auto from_stdin =
        toggle("--password-stdin", "the password comes on standard input", flags->password_stdin);
    from_stdin.command_line_only = true;
    return {
        .name = "login",
        .summary = "Check a credential and keep it in docker's config.json",
        .examples = {"consign registry login registry.example --username ci --password-stdin <password.txt",
                     "consign registry login"},
        .options = joined({optional(positional("REGISTRY", "host and port; default the IMS's", flags->what)),
                           option("-u,--username", "USER", "the user name", flags->username),
                           std::move(password), std::move(from_stdin)},
                          reach_options("", flags->reach)),
        .run = [flags](Context& context) { return login(context, *flags); }};
}

CommandSpec copy_spec(const std::shared_ptr<RegistryFlags>& flags) {
    auto* copy = &flags->copy;
    return {
        .name = "copy",
        .summary = "Copy an image with all that belongs to it, byte for byte",
        .examples = {"consign registry copy registry.example/shop/web:1.0 ims:mirror/web:1.0",
                     "consign registry copy ims:shop/web:1.0 oci-archive:web.tar --platform linux/amd64",
                     "consign registry copy oci:./layout:v1 127.0.0.1:5000/shop/web:v1 --dest-plain-http"},
        .options = joined(
            joined({positional("SRC",
                               "HOST/REPO:TAG, HOST/REPO@DIGEST, ims:REPO:TAG, oci:DIR:TAG, "
                               "oci-archive:FILE:TAG",
                               copy->source),
                    positional("DST", "the same; the tag of SRC when it has none", copy->target)},
                   copy_options(*copy)),
            joined(reach_options("src-", copy->source_reach), reach_options("dest-", copy->target_reach))),
        .run = [flags](Context& context) { return copy_command(context, flags->copy); }};
}

CommandSpec archive_spec(const std::shared_ptr<RegistryFlags>& flags, bool out) {
    auto* copy = &flags->copy;
    CommandSpec spec{.name = out ? "export" : "import",
                     .summary =
                         out ? "Write an image into an OCI archive" : "Bring an OCI archive's image in"};
    if (out) {
        spec.examples = {"consign registry export ims:shop/web:1.0 web.tar"};
        spec.options = {
            positional("REF", "what to export, as for copy", copy->source),
            positional("FILE", "the archive, a tar file; replaced when it is complete", copy->target)};
        spec.options = joined(std::move(spec.options), reach_options("", copy->source_reach));
        spec.run = [flags](Context& context) { return export_command(context, flags->copy); };
    } else {
        spec.examples = {"consign registry import web.tar ims:shop/web:1.0"};
        spec.options = {
            positional("FILE", "the archive; it must hold one image, or one with a tag", copy->source),
            positional("REF", "where to, as for copy", copy->target)};
        spec.options = joined(std::move(spec.options), reach_options("", copy->target_reach));
        spec.run = [flags](Context& context) { return import_command(context, flags->copy); };
    }
    spec.options = joined(std::move(spec.options), copy_options(*copy));
    return spec;
}

} // namespace

CommandSpec registry_command() {
    const auto flags = std::make_shared<RegistryFlags>();
    const auto reference = [flags](const char* help) { return positional("REF", help, flags->what); };
    return {.name = "registry",
            .summary = "Images and artifacts in any registry, layout or archive",
            .commands = {
                login_command(flags),
                {.name = "ls",
                 .summary = "The repositories of a registry",
                 .examples = {"consign registry ls", "consign registry ls registry.example"},
                 .options = joined(
                     {optional(positional("REGISTRY", "host and port; default the IMS's", flags->what))},
                     reach_options("", flags->reach)),
                 .run = [flags](Context& context) { return list(context, *flags); }},
                {.name = "tags",
                 .summary = "The tags of a repository",
                 .examples = {"consign registry tags ims:shop/web", "consign registry tags oci:./layout"},
                 .options = joined({reference("HOST/REPO, ims:REPO, oci:DIR or oci-archive:FILE")},
                                   reach_options("", flags->reach)),
                 .run = [flags](Context& context) { return tags(context, *flags); }},
                {.name = "inspect",
                 .summary = "What an image consists of, with sizes and what refers to it",
                 .examples = {"consign registry inspect ims:shop/web:1.0"},
                 .options = joined({reference("the image, as for copy")}, reach_options("", flags->reach)),
                 .run = [flags](Context& context) { return inspect_image(context, *flags); }},
                copy_spec(flags),
                archive_spec(flags, true),
                archive_spec(flags, false),
                {.name = "rm",
                 .summary = "Remove a tag, or by digest a manifest with its tags",
                 .examples = {"consign registry rm ims:shop/web:0.9"},
                 .options = joined({reference("HOST/REPO:TAG or HOST/REPO@DIGEST, ims:…, oci:…")},
                                   reach_options("", flags->reach)),
                 .run = [flags](Context& context) { return remove(context, *flags); }},
                gc_command(flags, flags->upkeep),
                scrub_command(flags, flags->upkeep),
            }};
}

} // namespace consign::cli
