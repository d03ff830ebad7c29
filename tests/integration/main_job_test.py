"""The main job: an app's whole life at two customers, by a build agent, install agents and an IMS that are real processes."""
import json
import os
import subprocess
import threading

from integration.apps import component, publish, service, write_app, write_tree
from integration.harness import BINARY, Case, alive, free_port, main, request

WEB = """#!/usr/bin/python3
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        broken = self.path == "/healthz" and os.path.exists("broken")
        self.send_response(503 if broken else 200)
        self.end_headers()
        self.wfile.write(open("page.html", "rb").read() if not broken else b"no")
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def web(edition, broken=False):
    files = {"web.py": WEB, "page.html": f"{{{{ inputs.greeting }}}}, edition {edition}\n"}
    if broken:
        files["broken"] = "yes"
    return component({"service": ["./web.py", "{{ inputs.port }}"], "templates": ["page.html"],
                      "provision": [["sh", "-c", "echo provisioned for $CUSTOMER"]], "update": [["sh", "-c", "echo updated"]],
                      "teardown": [["sh", "-c", "echo torn down"]], "environment": {"CUSTOMER": "{{ install.name }}"},
                      "health": {"http": "http://127.0.0.1:{{ inputs.port }}/healthz", "within_s": 10}},
                     depends_on=["db"], files=files)


def shop(edition, broken=False):
    return {"db": component(service("db of {{ install.name }}")), "web": web(edition, broken)}


INPUTS = {"port": {"type": "number"}, "greeting": {"default": "Welcome"}}


class WholeLife(Case):
    """One long test: each step needs those before it."""

    def page(self, port):
        return request(f"http://127.0.0.1:{port}/", timeout_s=5).body.decode().strip()

    def test_an_app_through_its_whole_life_at_two_customers(self):
        w, source = self.world, self.world.dir / "shop"
        w.ims()
        w.build_agent()

        write_app(source, "shop", shop("first"), INPUTS)
        self.assertEqual(w.json("app", "apply", "-f", source / "consign.toml")["config_version"], 1)
        self.assertFalse(w.json("app", "apply", "-f", source / "consign.toml")["changed"], "the same file makes no new version")
        builds = w.json("build", "shop", "--source", source, "--wait")["items"]
        self.assertEqual({b["component"]: b["state"] for b in builds}, {"db": "succeeded", "web": "succeeded"})
        first = w.json("release", "create", "shop", "--version", "1.0")
        self.assertEqual({c["component"]: c["artifact"]["digest"] for c in first["components"]},
                         {b["component"]: b["artifact"]["digest"] for b in builds})

        ports = {"acme": free_port(), "globex": free_port()}
        for name, port in ports.items():
            w.consign("install", "create", name, "--app", "shop", "--input", f"port={port}", "--input", f"greeting=Hello {name}")
            w.install_agent(name)
            deploy = w.json("deploy", name, "--release", "1.0", "--wait")
            self.assertEqual(deploy["state"], "succeeded")
            by_component = {job["component"]: job for job in deploy["jobs"]}
            self.assertLessEqual(by_component["db"]["finished_at"], by_component["web"]["started_at"], "web depends on db")
        for name, port in ports.items():
            self.assertEqual(self.page(port), f"Hello {name}, edition first")
        log = w.consign("logs", by_component["web"]["id"]).stdout
        self.assertIn("provisioned for globex", log)

        # An update runs `update`, changes the page, and leaves the other component alone.
        db_before = {name: self.service_of(name, "db") for name in ports}
        write_app(source, "shop", shop("second"), INPUTS)
        w.consign("build", "shop/web", "--source", source, "--wait")
        w.consign("release", "create", "shop", "--version", "1.1")
        for name, port in ports.items():
            deploy = w.json("deploy", name, "--release", "1.1", "--wait")
            self.assertEqual(self.page(port), f"Hello {name}, edition second")
            web_job = next(job for job in deploy["jobs"] if job["component"] == "web")
            self.assertIn("updated", w.consign("logs", web_job["id"]).stdout)
            self.assertEqual(self.service_of(name, "db"), db_before[name], "the unchanged component was not restarted")

        # A release that is not healthy: exit code 7, the page is back, and the install says what happened.
        write_app(source, "shop", shop("third", broken=True), INPUTS)
        w.consign("build", "shop/web", "--source", source, "--wait")
        w.consign("release", "create", "shop", "--version", "1.2")
        done = w.consign("deploy", "acme", "--release", "1.2", "--wait", expect=7)
        self.assertIn("rolled back to 1.1", done.stderr)
        self.assertEqual(self.page(ports["acme"]), "Hello acme, edition second")
        shown = w.json("install", "show", "acme")
        states = {c["component"]: (c["state"], c["release"]) for c in shown["components"]}
        self.assertEqual(states, {"db": ("running", "1.2"), "web": ("rolled_back", "1.1")})
        self.assertEqual(shown["release"], "1.1", "the last deploy that went well")

        # Teardown: no process, no file, and the other customer does not notice.
        running = w.services("globex")
        self.assertEqual(len(running), 2)
        w.consign("teardown", "globex", "--wait")
        self.assertFalse([pid for pid in running if alive(pid)])
        self.assertEqual(list((w.dir / "globex" / "components").iterdir()), [])
        self.assertEqual({c["state"] for c in w.json("install", "show", "globex")["components"]}, {"absent"})
        self.assertEqual(self.page(ports["acme"]), "Hello acme, edition second")
        self.assertEqual(w.json("teardown", "globex", "--wait")["state"], "succeeded", "tearing down nothing is no failure")

    def service_of(self, install, name):
        return (self.world.dir / install / "components" / name / "service.pid").read_text()


class Builds(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.world.ims()

    def test_1_once_builds_what_is_queued_and_ends(self):
        w, source = self.world, self.world.dir / "once"
        w.consign("app", "apply", "-f", write_app(source, "once", {"a": component(), "b": component()}))
        queued = w.json("build", "once", "--source", source)["items"]
        self.assertEqual({b["state"] for b in queued}, {"queued"})
        shown = w.json("build", "show", queued[0]["id"])
        self.assertIn("none is enrolled", shown["waiting_for"]["what"])
        agent = w.build_agent("once-agent", "--once")
        self.assertEqual(agent.wait(), 0)
        self.assertEqual({b["state"] for b in w.json("build", "list", "--app", "once")["items"]}, {"succeeded"})

    def test_ci_mode_builds_here_and_records(self):
        w, source = self.world, self.world.dir / "ci"
        w.consign("app", "apply", "-f", write_app(source, "ci", {"a": component()}))
        token = w.user("ci")
        built = w.json("build-agent", "build", "ci", "--source", source, env={"CONSIGN_TOKEN": token})["items"]
        self.assertEqual([b["state"] for b in built], ["succeeded"])
        self.assertNotIn("job", built[0], "no agent had a part in it")
        self.assertEqual(w.json("build", "show", built[0]["id"])["artifact"], built[0]["artifact"])

    def test_a_failing_ci_build_ends_non_zero_with_the_reason_and_is_recorded(self):
        w, source = self.world, self.world.dir / "broken"
        w.consign("app", "apply", "-f", write_app(source, "broken", {"a": component()}))
        os.mkfifo(source / "a" / "pipe")
        done = subprocess.run([BINARY, "build-agent", "build", "broken", "--source", source], env=w.env(),
                              capture_output=True, text=True)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("pipe", done.stderr)
        self.assertIn("named pipe", done.stderr)
        [build] = w.json("build", "list", "--app", "broken")["items"]
        self.assertEqual(build["state"], "failed")
        self.assertIn("named pipe", build["error"])
        w.consign("release", "create", "broken", expect=5)

    def test_a_build_in_the_daemon_that_fails_says_why(self):
        w, source = self.world, self.world.dir / "gitless"
        missing = {"git": f"file://{w.dir}/nowhere.git", "ref": "main"}
        w.consign("app", "apply", "-f", write_app(source, "gitless", {"a": component(source=missing)}))
        w.consign("build", "gitless")
        w.build_agent("failing-agent", "--once").wait()
        [build] = w.json("build", "list", "--app", "gitless")["items"]
        self.assertEqual(build["state"], "failed")
        self.assertIn("nowhere.git", build["error"])
        self.assertIn("fatal", w.consign("logs", build["job"]).stdout)

    def test_a_git_source_at_a_ref_and_a_subdirectory(self):
        w, repository = self.world, self.world.dir / "code"
        git = lambda *args, cwd=repository: subprocess.run(  # noqa: E731
            ["git", "-c", "user.name=t", "-c", "user.email=t@example", *args], cwd=cwd, env=w.env(), check=True,
            capture_output=True, text=True).stdout.strip()
        write_tree(repository, {"service/serve": "#!/bin/sh\necho one\n", "README": "not part of it\n"})
        git("init", "--quiet")
        git("add", ".")
        git("commit", "--quiet", "-m", "one")
        git("tag", "v1")
        commit = git("rev-parse", "HEAD")
        write_tree(repository, {"service/serve": "#!/bin/sh\necho two\n"})
        git("commit", "--quiet", "-am", "two")
        git("clone", "--quiet", "--bare", str(repository), str(w.dir / "code.git"), cwd=w.dir)

        source = {"git": f"file://{w.dir}/code.git", "ref": "v1", "dir": "service"}
        w.consign("app", "apply", "-f", write_app(w.dir / "fromgit", "fromgit", {"a": component({}, source=source)}))
        here = w.json("build-agent", "build", "fromgit")["items"][0]["artifact"]["digest"]
        [queued] = w.json("build", "fromgit")["items"]
        w.build_agent("git-agent", "--once").wait()
        built = w.json("build", "show", queued["id"])
        self.assertEqual(built["artifact"]["digest"], here, "the same commit is the same artifact, whoever builds it")
        self.assertEqual(w.job(queued["job"])["result"]["source_version"], commit)

        # The same files from a directory are another source, but hold the same two lines.
        same = w.dir / "same"
        write_tree(same / "a", {"serve": "#!/bin/sh\necho one\n"})
        self.assertEqual(git("show", "v1:service/serve"), (same / "a" / "serve").read_text().strip())


class Graph(Case):
    """Order, parallel work, skipping and queueing, seen from one install."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        w = cls.world
        w.ims()
        # a ─┬─ b ─┬─ d      b and c meet: each waits in its provision until the other is there, too.
        #    └─ c ─┘
        meet = lambda me, other: [["sh", "-c", f"touch {w.dir}/met.{me}; n=0; until [ -e {w.dir}/met.{other} ]; do "  # noqa: E731
                                               "n=$((n+1)); [ $n -lt 300 ] || exit 1; sleep 0.1; done"]]
        cls.components = {"a": component({"provision": [["true"]]}),
                          "b": component({"provision": meet("b", "c")}, ["a"]),
                          "c": component({"provision": meet("c", "b")}, ["a"]),
                          "d": component({"provision": [["true"]]}, ["b", "c"])}
        publish(w, w.dir / "dag", "dag", "1", cls.components)
        w.api("POST", "/v1/installs", {"name": "acme", "app": "dag"})
        w.install_agent("acme")

    def test_1_dependencies_first_and_independent_ones_together(self):
        deploy = self.world.json("deploy", "acme", "--wait")
        jobs = {job["component"]: job for job in deploy["jobs"]}
        for before, after in (("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")):
            self.assertLessEqual(jobs[before]["finished_at"], jobs[after]["started_at"], f"{before} before {after}")
        self.assertEqual({job["state"] for job in jobs.values()}, {"succeeded"}, "b and c could only end by running together")

    def test_2_what_depends_on_a_failure_is_skipped(self):
        w = self.world
        failing = dict(self.components, b=component({"provision": [["sh", "-c", "echo the b log; exit 3"]],
                                                      "update": [["sh", "-c", "echo the b log; exit 3"]]}, ["a"]))
        publish(w, w.dir / "dag", "dag", "2", failing)
        done = w.consign("-o", "json", "deploy", "acme", "--release", "2", "--wait", expect=7)
        self.assertIn("the b log", done.stderr, "the end of the failed job's log is shown")
        jobs = {job["component"]: job for job in json.loads(done.stdout)["jobs"]}
        self.assertEqual({name: job["state"] for name, job in jobs.items()},
                         {"a": "succeeded", "b": "failed", "c": "succeeded", "d": "skipped"})
        self.assertIn("depends on b", jobs["d"]["error"])
        self.assertIn("3", jobs["b"]["error"])

    def test_3_deploys_of_one_install_wait_for_each_other(self):
        w = self.world
        gate = w.dir / "gate"
        held = {"a": component({"provision": [["sh", "-c", f"until [ -e {gate} ]; do sleep 0.1; done"]],
                                "update": [["sh", "-c", f"until [ -e {gate} ]; do sleep 0.1; done"]]})}
        publish(w, w.dir / "dag", "dag", "3", held)
        first, second = w.deploy("acme", "3"), w.deploy("acme", "1")
        w.await_job(first["jobs"][0]["id"], "running")
        waiting = w.get(f"/v1/deploys/{second['id']}")
        self.assertEqual(waiting["state"], "queued")
        self.assertEqual({job["state"] for job in waiting["jobs"]}, {"blocked"})
        self.assertIn(first["id"], waiting["waiting_for"]["what"])
        gate.touch()
        self.assertEqual(w.await_deploy(first["id"])["state"], "succeeded")
        ended = w.await_deploy(second["id"])
        self.assertEqual(ended["state"], "succeeded")
        started = min(job["started_at"] for job in ended["jobs"])
        self.assertGreaterEqual(started, w.get(f"/v1/deploys/{first['id']}")["finished_at"])

    def test_4_logs_follow_to_the_end(self):
        w = self.world
        chatty = {"a": component({"provision": [["sh", "-c", "for i in 1 2 3; do echo line $i; sleep 0.2; done"]],
                                  "update": [["sh", "-c", "for i in 1 2 3; do echo line $i; sleep 0.2; done"]]})}
        publish(w, w.dir / "dag", "dag", "4", chatty)
        job = w.deploy("acme", "4")["jobs"][0]["id"]
        followed = {}
        thread = threading.Thread(target=lambda: followed.update(text=w.consign("logs", job, "-f").stdout))
        thread.start()
        w.await_job(job, "succeeded")
        thread.join(30)
        self.assertFalse(thread.is_alive(), "following ends with the job")
        lines = [line for line in followed["text"].splitlines() if line.startswith("line")]
        self.assertEqual(lines, ["line 1", "line 2", "line 3"])


class Determinism(Case):
    def test_the_same_tree_elsewhere_is_the_same_artifact(self):
        w = self.world
        w.ims()
        digests = set()
        for number, (umask, mtime) in enumerate([(0o022, 1_000_000_000), (0o077, 1_700_000_000), (0o002, 1)]):
            directory = w.dir / ("x" * number + "place") / "deeper"
            before = os.umask(umask)
            try:
                write_app(directory, "same", {"a": component(files={"z/last": "z", "a/first": "a", "B": "b", "ä": "ä"})})
                if umask == 0o077:
                    for path in directory.rglob("*"):
                        path.chmod(0o700 if path.is_dir() or path.stat().st_mode & 0o100 else 0o600)
            finally:
                os.umask(before)
            for path in directory.rglob("*"):
                os.utime(path, (mtime + number, mtime + number))
            w.consign("app", "apply", "-f", directory / "consign.toml")
            w.consign("build", "same", "--source", directory)
            w.build_agent(f"agent-{number}", "--once").wait()
            [newest] = w.json("build", "list", "--app", "same")["items"][:1]
            digests.add(newest["artifact"]["digest"])
            digests.add(w.json("build-agent", "build", "same", "--source", directory)["items"][0]["artifact"]["digest"])
        self.assertEqual(len(digests), 1, digests)


if __name__ == "__main__":
    main()
