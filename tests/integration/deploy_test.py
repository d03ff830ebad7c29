"""What the install agent does with a bundle: probes, templates, secrets, supervision, cancelling, tearing down."""
import os
import re
import signal

from integration.apps import component, publish, service
from integration.harness import Case, alive, eventually, free_port, main

TCP = """#!/usr/bin/python3
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True: server.accept()
"""


class Deploys(Case):
    """Each test has an app and an install of its own, named like it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.world.ims()

    def setUp(self):
        self.name = re.sub(r"\W|_", "-", self._testMethodName.removeprefix("test_"))[:30].strip("-")

    def ship(self, version, components, inputs=None):
        return publish(self.world, self.world.dir / "src" / self.name, self.name, version, components, inputs)

    def installed(self, components, inputs=None, **values):
        """A first release, an install with its agent; not deployed yet."""
        self.ship("1", components, inputs)
        self.world.api("POST", "/v1/installs", {"name": self.name, "app": self.name, "inputs": values})
        self.agent = self.world.install_agent(self.name)
        self.addCleanup(self.agent.wait)
        self.addCleanup(self.agent.terminate)  # runs first

    def deploy(self, release="", state="succeeded", **options):
        w = self.world
        deploy = w.await_deploy(w.deploy(self.name, release, **options)["id"])
        self.assertEqual(deploy["state"], state, deploy.get("error"))
        return {job["component"]: job for job in deploy["jobs"]}

    def home(self, part="a"):
        return self.world.dir / self.name / "components" / part

    def shown(self, part="a"):
        [view] = [c for c in self.world.get(f"/v1/installs/{self.name}")["components"] if c["component"] == part]
        return view

    def log(self, job):
        return self.world.call("GET", f"/v1/jobs/{job['id']}/logs").body.decode()

    def test_a_tcp_probe(self):
        port = free_port()
        run = {"service": ["./listen", "{{ inputs.port }}"], "health": {"tcp": "127.0.0.1:{{ inputs.port }}", "within_s": 20}}
        self.installed({"a": component(run, files={"listen": TCP})}, {"port": {"type": "number"}}, port=port)
        self.deploy()
        self.assertEqual(self.shown()["state"], "running")

    def test_the_first_release_has_nothing_to_roll_back_to(self):
        self.installed({"a": component(service(within_s=1), files={"broken": ""})})
        job = self.deploy(state="failed")["a"]
        self.assertIn("the disk is upside down", job["error"], "the probe's own words")
        self.assertIn("no release to roll back to", job["error"])
        self.assertEqual(self.world.services(self.name), [], "it does not run on")
        self.assertEqual((self.shown()["state"], self.shown().get("release", "")), ("failed", ""))

    def test_a_service_that_does_not_stay_up_is_rolled_back(self):
        self.installed({"a": component()})
        self.deploy()
        before = self.world.services(self.name)
        dying = component(service(), files={"serve": "#!/bin/sh\necho 'no such database' >&2\nexit 9\n"})
        self.ship("2", {"a": dying})
        job = self.deploy("2", state="failed")["a"]
        self.assertIn("rolled back to 1", job["error"])
        self.assertIn("9", job["error"])
        self.assertIn("no such database", self.log(job), "what the service said is in the job's log")
        self.assertEqual((self.shown()["state"], self.shown()["release"]), ("rolled_back", "1"))
        [now] = self.world.services(self.name)
        self.assertNotEqual([now], before)
        self.assertEqual((self.home() / "data" / "said").read_text(), "hello\n")

    def test_a_failing_update_leaves_the_service_alone(self):
        self.installed({"a": component()})
        self.deploy()
        before = self.world.services(self.name)
        self.ship("2", {"a": component(service(update=[["sh", "-c", "echo half done; exit 4"]]))})
        job = self.deploy("2", state="failed")["a"]
        self.assertIn("1 runs on", job["error"])
        self.assertEqual(self.world.services(self.name), before)

    def test_deploying_the_same_again_changes_nothing(self):
        self.installed({"a": component()})
        self.deploy()
        before = self.world.services(self.name)
        self.assertFalse(self.deploy()["a"]["result"]["changed"])
        self.assertEqual(self.world.services(self.name), before)
        self.world.consign("install", "set", self.name, "--input", "greeting=new words")
        self.assertTrue(self.deploy()["a"]["result"]["changed"], "other inputs are another deployment of the same release")
        self.assertEqual((self.home() / "data" / "said").read_text(), "new words\n")
        self.assertEqual(len(self.world.services(self.name)), 1)

    def test_a_service_that_ends_is_started_again(self):
        self.installed({"a": component()})
        self.deploy()
        [pid] = self.world.services(self.name)
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: (now := self.world.services(self.name)) != [pid] and len(now) == 1, "it runs again, once")

    def test_secrets_stay_in_the_account(self):
        secret = "correct-horse-battery"
        run = service(templates=["conf"], provision=[["sh", "-c", "cat conf; echo again: $SECRET"]],
                      environment={"SECRET": "{{ inputs.password }}"})
        self.installed({"a": component(run, files={"conf": "port=1\npassword={{ inputs.password }}\n"})},
                       {"password": {"sensitive": True}, "greeting": {"default": "hello"}}, password=secret)
        log = self.log(self.deploy()["a"])
        self.assertIn("port=1", log)
        self.assertIn("again: ", log)
        self.assertNotIn(secret, log)
        [conf] = self.home().glob("releases/*/conf")
        self.assertEqual(conf.read_text(), f"port=1\npassword={secret}\n")
        self.assertEqual(conf.stat().st_mode & 0o077, 0, "nobody else may read it")
        for path in ("/v1/installs", f"/v1/installs/{self.name}", "/v1/jobs", "/v1/events?after=0", "/v1/audit"):
            self.assertNotIn(secret, self.world.call("GET", path).body.decode())
        self.assertNotIn(secret, self.agent.text())

    def test_cancelling_a_running_job_ends_its_processes(self):
        stuck = {"a": component({"provision": [["sh", "-c", "sleep 9999 & echo sleeping; wait"]]})}
        self.installed(stuck)
        job = self.world.deploy(self.name)["jobs"][0]["id"]
        eventually(lambda: "sleeping" in self.log({"id": job}).splitlines(), "the command runs")
        running = self.world.services(self.name)
        self.assertGreaterEqual(len(running), 2)
        self.world.consign("job", "cancel", job)
        self.world.await_job(job, "cancelled")
        eventually(lambda: not any(alive(pid) for pid in running), "its whole process group ends")

    def test_teardown_goes_against_the_dependencies_and_runs_the_commands(self):
        order = self.world.dir / "order"
        part = lambda name, after: component(service(teardown=[["sh", "-c", f"echo {name} >> {order}"]]), after)  # noqa: E731
        self.installed({"a": part("a", []), "b": part("b", ["a"]), "c": part("c", ["b"])})
        self.deploy()
        running = self.world.services(self.name)
        self.assertEqual(len(running), 3)
        self.deploy(kind="teardown", component="c")
        self.assertEqual(order.read_text().split(), ["c"])
        self.deploy(kind="teardown")
        self.assertEqual(order.read_text().split(), ["c", "b", "a"])
        self.assertFalse([pid for pid in running if alive(pid)])
        self.assertEqual(list(self.home().parent.iterdir()), [])
        self.deploy()  # and it can come back
        self.assertEqual(len(self.world.services(self.name)), 3)

    def test_other_components_are_found_by_template(self):
        reads = service("{{ components.a.artifact.digest }}", provision=[["cat", "{{ components.a.directory }}/words"]])
        self.installed({"a": component(service(), files={"words": "words of a\n"}), "b": component(reads, ["a"])})
        jobs = self.deploy()
        self.assertIn("words of a", self.log(jobs["b"]))
        digest = self.world.get(f"/v1/apps/{self.name}/releases")["items"][0]["components"]
        self.assertEqual((self.home("b") / "data" / "said").read_text().strip(),
                         next(part["artifact"]["digest"] for part in digest if part["component"] == "a"))


if __name__ == "__main__":
    main()
