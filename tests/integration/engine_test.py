"""The job engine as people use it: approvals, draining, new keys, limits, jobs that come by themselves, and why things
wait."""
import re

from integration.apps import component, publish, service
from integration.harness import Case, alive, eventually, main


class Engine(Case):
    """Each test has an app and an install of its own, named like it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        w = cls.world
        w.ims("--health-every", "2s")
        # For the last test, which has to wait for a while: nobody will ever take this one.
        publish(w, w.dir / "src" / "lonely", "lonely", "1", {"a": component()})
        w.api("POST", "/v1/installs", {"name": "lonely", "app": "lonely"})
        cls.lonely = w.deploy("lonely")

    def setUp(self):
        self.name = re.sub(r"\W|_", "-", self._testMethodName.removeprefix("test_"))[:30].strip("-")

    def installed(self, components):
        publish(self.world, self.world.dir / "src" / self.name, self.name, "1", components)
        self.world.api("POST", "/v1/installs", {"name": self.name, "app": self.name})
        self.agent = self.world.install_agent(self.name)
        self.addCleanup(self.agent.wait)
        self.addCleanup(self.agent.terminate)  # runs first

    def states(self, deploy):
        return {job["component"]: job["state"] for job in self.world.get(f"/v1/deploys/{deploy}")["jobs"]}

    def look(self, what):
        return self.world.await_job(self.world.json("install", "check", self.name, "--what", what)["id"], "succeeded")

    def part(self):
        return self.world.get(f"/v1/installs/{self.name}")["components"][0]

    def agent_id(self):
        return self.world.get(f"/v1/installs/{self.name}")["agent"]

    def test_approval(self):
        w = self.world
        self.installed({"a": component(), "b": component(depends_on=["a"], approval="required"), "c": component(depends_on=["b"])})
        deploy = w.json("deploy", self.name)["id"]
        eventually(lambda: self.states(deploy) == {"a": "succeeded", "b": "awaiting_approval", "c": "blocked"}, "the gate")
        shown = w.json("deploy", "show", deploy)["waiting_for"]
        self.assertEqual((shown["reason"], shown["what"]), ("approval", "approval of b"))
        self.assertIn(f"consign approve {deploy}", shown["hint"])
        w.consign("approve", deploy, "--reason", "seen")
        self.assertEqual(w.await_deploy(deploy)["state"], "succeeded")
        self.assertIn("nothing waits for approval", w.consign("approve", deploy, expect=5).stderr)

        deploy = w.json("teardown", self.name)["id"]
        eventually(lambda: self.states(deploy)["b"] == "awaiting_approval", "the gate")
        w.consign("reject", deploy, "--reason", "not on a Friday")
        ended = w.await_deploy(deploy)
        self.assertEqual(ended["state"], "cancelled")
        self.assertIn("rejected by owner: not on a Friday", ended["error"])
        audit = {(entry["action"], entry["detail"]) for entry in w.get("/v1/audit")["items"]}
        self.assertLessEqual({("deploy.approve", "seen"), ("deploy.reject", "not on a Friday")}, audit)

    def test_drain(self):
        w = self.world
        self.installed({"a": component()})
        w.consign("agent", "drain", self.agent_id())
        deploy = w.deploy(self.name)["id"]
        waiting = w.get(f"/v1/deploys/{deploy}")["waiting_for"]
        self.assertIn("is drained and takes nothing new", waiting["what"])
        self.assertIn(f"consign agent resume {self.agent_id()}", waiting["hint"])
        self.assertIn("draining", w.consign("agent", "list").stdout)
        w.consign("agent", "resume", self.agent_id())
        self.assertEqual(w.await_deploy(deploy)["state"], "succeeded")

    def test_rotate_key(self):
        w = self.world
        self.installed({"a": component()})
        key = w.dir / self.name / "agent.key"
        before = key.read_text()
        w.consign("agent", "rotate-key", self.agent_id())
        eventually(lambda: any(e["kind"] == "agent.key_rotated" and e["detail"] == self.agent_id()
                               for e in w.get("/v1/events?after=0")["items"]), "the new key is used")
        self.assertNotEqual(key.read_text(), before)
        self.assertFalse((w.dir / self.name / "agent.key.next").exists())
        self.assertEqual(w.await_deploy(w.deploy(self.name)["id"])["state"], "succeeded")
        # With the new key also after a restart; a copy of the old one is worth nothing.
        self.agent.terminate()
        self.agent.wait()
        new = key.read_text()
        key.write_text(before)
        stale = w.start("stale", "install-agent", "--data", w.dir / self.name, "--registry-listen", "127.0.0.1:0")
        stale.expected = {stale.wait()}
        self.assertNotEqual(stale.expected, {0})
        key.write_text(new)
        self.agent = w.install_agent(self.name, again=True)
        self.addCleanup(self.agent.wait)
        self.addCleanup(self.agent.terminate)
        self.assertEqual(w.await_deploy(w.deploy(self.name)["id"])["state"], "succeeded")

    def test_run_limit(self):
        slow = '#!/bin/sh\necho $$ > ../pid\nsleep 1000\n'
        self.installed({"a": component(service(provision=[["./slow"]]), files={"slow": slow}, timeout_s=2)})
        ended = self.world.await_deploy(self.world.deploy(self.name)["id"])
        self.assertEqual(ended["jobs"][0]["state"], "timed_out")
        self.assertIn("it ran for longer than 2 s", ended["error"])
        pid = int((self.world.dir / self.name / "components" / "a" / "releases" / "pid").read_text())
        self.assertFalse(alive(pid))

    def test_cancel_deploy(self):
        w = self.world
        slow = '#!/bin/sh\nsleep 1000\n'
        self.installed({"a": component(service(provision=[["./slow"]]), files={"slow": slow}), "b": component(depends_on=["a"])})
        deploy, queued = w.deploy(self.name)["id"], w.deploy(self.name)["id"]
        self.assertEqual(w.get(f"/v1/deploys/{queued}")["waiting_for"]["reason"], "deploy")
        eventually(lambda: self.states(deploy)["a"] == "running", "it runs")
        w.consign("deploy", "cancel", queued)
        w.consign("deploy", "cancel", deploy)
        self.assertEqual(w.await_deploy(deploy)["state"], "cancelled")
        self.assertEqual(self.states(deploy), {"a": "cancelled", "b": "cancelled"})
        self.assertEqual(w.get(f"/v1/deploys/{queued}")["state"], "cancelled")

    def test_health_and_drift(self):
        w = self.world
        self.installed({"a": component(files={"data.txt": "as it was\n"})})
        self.assertEqual(w.await_deploy(w.deploy(self.name)["id"])["state"], "succeeded")
        eventually(lambda: self.part().get("health") == "healthy", "the schedule asks")
        release = w.dir / self.name / "components" / "a" / "current"
        (release / "broken").touch()
        eventually(lambda: "the disk is upside down" in self.part()["health"], "the schedule asks again")
        (release / "broken").unlink()

        self.assertEqual(self.look("drift")["state"], "succeeded")
        self.assertEqual(self.part()["drift"], "none")
        (release / "data.txt").write_text("as nobody wanted it\n")
        job = self.look("drift")
        self.assertEqual(job["result"]["components"]["a"], {"good": False, "detail": "data.txt changed"})
        self.assertEqual(self.part()["drift"], "data.txt changed")
        self.assertIn("data.txt changed", w.consign("install", "show", self.name).stdout)

    def test_collect(self):
        w = self.world
        source = w.dir / "src" / self.name
        self.installed({"a": component()})
        for version in ("1", "2", "3"):
            if version != "1":
                publish(w, source, self.name, version, {"a": component(files={"version": version})})
            self.assertEqual(w.await_deploy(w.deploy(self.name, version)["id"])["state"], "succeeded")
        job = self.look("gc")
        # What runs, and what ran before it.
        self.assertIn("1 tags dropped", w.consign("logs", job["id"]).stdout)
        self.assertEqual(w.await_deploy(w.deploy(self.name, "1")["id"])["state"], "succeeded")

    def test_z_whoever_follows_the_events_hears_why_jobs_wait(self):
        job = self.lonely["jobs"][0]["id"]
        told = lambda: [e["detail"] for e in self.world.get("/v1/events?after=0")["items"]
                        if e["kind"] == "job.waiting" and e["job"] == job]
        eventually(told, "the event", 60)
        self.assertEqual(len(told()), 1)
        self.assertIn("the install agent of lonely: none is enrolled", told()[0])


if __name__ == "__main__":
    main()
