// The long-running modes: flags here, work behind Modes.
#include "cli/commands.hpp"
#include "cli/exit_code.hpp"

namespace consign::cli {
namespace {

Result<int> ended(Result<void> result) {
    if (!result) return std::unexpected(std::move(result).error());
    return kDone;
}

OptionSpec registry_option(std::string help, std::string& into) {
    return option(
        "--registry", "embedded|URL",
        std::move(help) + ": 'embedded' (the default), or the URL of another one, for example ECR's", into);
}
OptionSpec registry_ca_option(std::string& into) {
    return option("--registry-ca", "FILE",
                  "PEM of the CA that signed that registry's certificate; default the system's", into);
}

CommandSpec build_here_command(std::shared_ptr<BuildAgentFlags> agent) {
    const auto flags = std::make_shared<BuildHereFlags>();
    return {.name = "build",
            .summary = "CI mode: build here and now, push, record the build; fails when the build fails",
            .examples = {"consign build-agent build shop --source .",
                         "consign build-agent build shop/web --ims https://ims.example"},
            .options = {positional("APP[/COMPONENT]", "what to build", flags->target),
                        option("--source", "DIR", "where the app's relative sources are; default .",
                               flags->source)},
            .run = [agent, flags](Context& context) -> Result<int> {
                CONSIGN_TRY(token, context.token());
                auto wanted = *flags;
                wanted.ims = agent->ims.empty() ? context.flags().url : agent->ims;
                wanted.token = token;
                wanted.ca_file = context.flags().ca_file;
                wanted.json = context.json();
                return ended(context.modes().build_here(wanted));
            }};
}

} // namespace

CommandSpec ims_command() {
    const auto flags = std::make_shared<ImsFlags>();
    flags->data = "./consign-ims";
    return {
        .name = "ims",
        .summary = "Run the management server (IMS); its first run creates the vendor and the owner's token",
        .examples = {"consign ims --data /var/lib/consign",
                     "consign ims --listen 0.0.0.0:8400 --tls-cert ims.pem --tls-key ims.key --public-url "
                     "https://ims.example:8400"},
        .options = {option("--data", "DIR", "where everything is kept; default ./consign-ims", flags->data),
                    option("--listen", "HOST:PORT", "where to serve; default 127.0.0.1:8400", flags->listen),
                    option("--tls-cert", "FILE", "PEM certificate chain; with --tls-key: serve https",
                           flags->tls_cert),
                    option("--tls-key", "FILE", "PEM private key", flags->tls_key),
                    option("--public-url", "URL", "how clients and agents reach it; default from --listen",
                           flags->public_url),
                    registry_option("the vendor registry", flags->registry),
                    choice("--registry-mode", "MODE",
                           "how installs pull from another registry: 'gateway', through this IMS with "
                           "one-time tokens (the default), or 'direct', with ECR logins for one "
                           "repository and 15 minutes",
                           flags->registry_mode, {"gateway", "direct"}),
                    option("--registry-pull-role", "ARN", "IAM role that 'direct' pull logins are sessions of",
                           flags->registry_pull_role),
                    registry_ca_option(flags->registry_ca),
                    toggle("--registry-immutable-tags", "make new ECR repositories with immutable tags",
                           flags->registry_immutable_tags),
                    toggle("--registry-scan-on-push", "make new ECR repositories with scan on push",
                           flags->registry_scan_on_push),
                    option("--threads", "N", "I/O threads; default 2", flags->threads, 1, 256),
                    option("--lease-s", "N",
                           "tuning: seconds until the job of an agent that went silent goes to another "
                           "attempt; agents renew at a third of it; default 45",
                           flags->lease_s, 5, 3600),
                    period("--health-every",
                           "how often each install's health is asked for, or 'never'; default 1h",
                           flags->health_every),
                    period("--drift-every",
                           "how often each install is compared with what was put there, or 'never'; default 24h",
                           flags->drift_every),
                    period("--gc-every",
                           "how often each install's registry is rid of what nothing needs, or 'never'; "
                           "default 24h",
                           flags->gc_every),
                    option("--registry-quota-mib", "N",
                           "pushes stop when all artifacts together have N MiB; default no limit",
                           flags->registry_quota_mib, 0, 1 << 30),
                    option("--registry-repository-quota-mib", "N",
                           "the same for each repository that has no quota of its own; default no limit",
                           flags->registry_repository_quota_mib, 0, 1 << 30),
                    option("--registry-free-floor-mib", "N",
                           "pushes stop when the disk has less than N MiB left; default no limit",
                           flags->registry_free_floor_mib, 0, 1 << 30)},
        .run = [flags](Context& context) -> Result<int> {
            if (flags->tls_cert.empty() != flags->tls_key.empty())
                return context.usage({Code::invalid_argument, "--tls-cert and --tls-key go together", ""});
            return ended(context.modes().ims(*flags));
        }};
}

CommandSpec build_agent_command() {
    const auto flags = std::make_shared<BuildAgentFlags>();
    flags->data = "./consign-build-agent";
    return {
        .name = "build-agent",
        .summary = "Run a build agent: components become artifacts in the vendor registry",
        .examples = {"consign build-agent --ims http://127.0.0.1:8400 --enroll TOKEN",
                     "consign build-agent --once"},
        .options = {for_commands(
                        option("--ims", "URL", "the IMS; remembered after the first run", flags->ims)),
                    option("--enroll", "TOKEN",
                           "one-use token of 'consign agent enroll', for the first run; "
                           "CONSIGN_ENROLL keeps it out of the process list",
                           flags->enroll),
                    option("--data", "DIR", "its key and state; default ./consign-build-agent", flags->data),
                    option("--slots", "N", "builds at a time; default 2", flags->slots, 1, 1000),
                    toggle("--once", "build what is queued now, then exit", flags->once)},
        .commands = {build_here_command(flags)},
        .run = [flags](Context& context) {
            flags->ca_file = context.flags().ca_file;
            return ended(context.modes().build_agent(*flags));
        }};
}

CommandSpec install_agent_command() {
    const auto flags = std::make_shared<InstallAgentFlags>();
    flags->data = "./consign-install-agent";
    return {
        .name = "install-agent",
        .summary = "Run an install agent in the customer's account",
        .examples =
            {"consign install-agent --ims https://ims.example --enroll TOKEN --data /var/lib/consign-agent",
             "consign install-agent --registry-listen 127.0.0.1:8501"},
        .options = {option("--ims", "URL", "the vendor's IMS; remembered after the first run", flags->ims),
                    option("--enroll", "TOKEN",
                           "one-use token of 'consign install enroll', for the first run; "
                           "CONSIGN_ENROLL keeps it out of the process list",
                           flags->enroll),
                    option("--data", "DIR", "its key, registry and releases; default ./consign-install-agent",
                           flags->data),
                    registry_option("the install registry", flags->registry),
                    registry_ca_option(flags->registry_ca),
                    option("--registry-listen", "HOST:PORT",
                           "read-only registry for this account; default 127.0.0.1:8500",
                           flags->registry_listen),
                    option("--slots", "N", "jobs at a time; default 2", flags->slots, 1, 1000)},
        .run = [flags](Context& context) {
            flags->ca_file = context.flags().ca_file;
            return ended(context.modes().install_agent(*flags));
        }};
}

} // namespace consign::cli
