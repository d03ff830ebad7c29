#pragma once
// An install site without its listener, and bundles of small shell scripts to deploy to it.
#include "consign/artifact/component.hpp"
#include "install/jobs.hpp"
#include "support.hpp"

namespace consign::install::test {

/// A bundle whose service is a script. What is healthy is up to the file "healthy" of the bundle.
struct Bundle {
    std::string version = "1.0";
    std::map<std::string, std::string> files;
    model::BundleRun run;
    std::map<std::string, json::Value> inputs = {{"greeting", "hello"}};

    explicit Bundle(std::string v, bool healthy = true) : version(std::move(v)) {
        files["version"] = version;
        files["provision"] = "#!/bin/sh\necho provision " + version + " >> \"$DATA/history\"\n";
        files["update"] = "#!/bin/sh\necho update " + version + " >> \"$DATA/history\"\n";
        files["teardown"] = "#!/bin/sh\necho teardown ran\n";
        files["serve"] = "#!/bin/sh\necho \"serving $(cat version)\"\necho $$ >> \"$DATA/pids\"\n"
                         "sh -c 'while :; do sleep 0.05; done' &\nwait\n";
        files["check"] = healthy ? "#!/bin/sh\nexit 0\n" : "#!/bin/sh\necho not today\nexit 1\n";
        run.provision = {{"./provision"}};
        run.update = {{"./update"}};
        run.teardown = {{"./teardown"}};
        run.service = {"./serve"};
        run.environment = {{"DATA", "{{ install.data }}"}, {"GREETING", "{{ inputs.greeting }}"}};
        run.health = model::HealthProbe{.http = {}, .tcp = {}, .command = {"./check"}, .within_s = 20};
        if (!healthy) run.health->within_s = 1;
    }
};

struct Site {
    TemporaryDirectory directory = scratch();
    fs::path data;
    ComponentPaths paths = paths_of(data, "web"); // as all below: made after `data`
    Reaper reaper{components_directory(data)};
    Network network;
    std::unique_ptr<oci::Registry> registry;
    std::unique_ptr<Supervisor> supervisor;
    std::unique_ptr<InstallJobs> jobs;

    explicit Site(fs::path at = {}) : data(at.empty() ? directory.path() / "data" : std::move(at)) {
        fs::create_directories(data);
        start_agent();
    }
    ~Site() { stop_agent(); }

    void start_agent() {
        auto opened = oci::Registry::open(data / "registry", network.io.blocking());
        REQUIRE(opened);
        registry = std::move(*opened);
        auto started = Supervisor::start(components_directory(data), {.grace = 2s, .first_restart = 20ms});
        REQUIRE(started);
        supervisor = std::move(*started);
        jobs = std::make_unique<InstallJobs>(*registry, *supervisor,
                                             InstallJobsOptions{.data = data, .registry = "127.0.0.1:8500"});
        REQUIRE(jobs->resume_all());
    }
    /// As kill -9 does it to services: they run on.
    void stop_agent() {
        jobs.reset();
        supervisor.reset();
        registry.reset();
    }

    /// Packs the bundle and pushes it to `target`.
    protocol::ApplySpec publish(const Bundle& bundle, oci::Registry& target) {
        const auto tree = TemporaryDirectory::make("bundle", directory.path());
        REQUIRE(tree);
        for (const auto& [name, text] : bundle.files)
            put(tree->path() / "tree" / name, text, text.starts_with("#!") ? 0755 : 0644);
        const auto layer = artifact::pack_directory(tree->path() / "tree", tree->path() / "layer");
        REQUIRE(layer);
        protocol::ApplySpec spec;
        spec.install = InstallId::make(Time(Millis(1)));
        spec.install_name = "acme";
        spec.app = "shop";
        spec.release = bundle.version;
        spec.component.name = "web";
        spec.component.run = bundle.run;
        spec.inputs = bundle.inputs;
        auto repository = target.repository("shop/web");
        REQUIRE(repository);
        const auto pushed = network.io.run(artifact::push_component(
            **repository, network.io.blocking(), "bundle", json::encode(spec.component), *layer, "build"));
        REQUIRE(pushed);
        spec.artifact = {"shop/web", pushed->digest};
        return spec;
    }
    protocol::ApplySpec publish(const Bundle& bundle) { return publish(bundle, *registry); }

    FakeContext context(json::Value spec) {
        const auto scratch_directory = directory.path() / "scratch";
        fs::create_directories(scratch_directory);
        return FakeContext(network.io, *network.http, data, scratch_directory, std::move(spec));
    }

    struct Applied {
        std::optional<Error> error;
        protocol::ApplyResult result;
        std::string log;
        std::vector<std::string> steps;
        std::string message() const { return error ? to_string(*error) : ""; }
    };
    Applied apply(const protocol::ApplySpec& spec) {
        auto job = context(json::encode(spec));
        return apply(job);
    }
    Applied apply(FakeContext& job) {
        const auto outcome = jobs->apply(job);
        return {outcome.error, json::decode<protocol::ApplyResult>(outcome.result).value(), job.text,
                job.steps};
    }
    Applied apply(const Bundle& bundle) { return apply(publish(bundle)); }

    std::string current_version() const { return get(paths.current() / "version"); }
    std::string history() const { return get(paths.data() / "history"); }
    pid_t pid() const { return supervisor->status("web").pid; }
    std::size_t release_directories() const {
        std::size_t count = 0;
        for (const auto& entry : fs::directory_iterator(paths.releases()))
            count += entry.is_directory() ? 1u : 0u;
        return count;
    }
};

} // namespace consign::install::test
