"""Crashes, restarts, drains, and starts that must be refused with one clear line."""
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading
import time

from integration.apps import component, publish, service
from integration.harness import BINARY, Case, World, alive, eventually, free_port, main
from integration.raw_agent import RawAgent


def gated(gate):
    """Commands that wait until the file `gate` is there."""
    wait = [["sh", "-c", f"touch {gate}.reached; until [ -e {gate} ]; do sleep 0.1; done; echo passed the gate"]]
    return {"provision": wait, "update": wait}


class ImsCrash(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        w = cls.world
        cls.port = free_port()
        cls.server = w.ims(listen=f"127.0.0.1:{cls.port}")
        gate = w.dir / "gate"
        publish(w, w.dir / "shop", "shop", "1", {"a": component(service(**gated(gate))), "b": component(depends_on=["a"])})
        w.api("POST", "/v1/installs", {"name": "acme", "app": "shop"})
        cls.agent = w.install_agent("acme")
        cls.gate = gate

    def crash(self):
        type(self).server.kill()

    def back(self):
        type(self).server = self.world.ims(listen=f"127.0.0.1:{self.port}")

    def test_1_a_job_goes_on_while_the_ims_is_away(self):
        w = self.world
        deploy = w.deploy("acme")
        jobs = {job["component"]: job["id"] for job in deploy["jobs"]}
        eventually((w.dir / "gate.reached").exists, "the provision runs")
        self.crash()
        self.gate.touch()  # the command ends, and there is nobody to tell
        eventually(lambda: "cannot be" in self.agent.text() or "trying again" in self.agent.text(), "the agent notices")
        self.back()
        self.assertEqual(w.await_deploy(deploy["id"])["state"], "succeeded")
        self.assertEqual(w.job(jobs["a"])["attempt"], 1, "the attempt outlived the crash")
        log = w.call("GET", f"/v1/jobs/{jobs['a']}/logs").body.decode()
        self.assertEqual(log.splitlines().count("passed the gate"), 1, log)
        self.assertEqual(len(w.services("acme")), 2)

    def test_2_a_parked_agent_finds_its_way_back(self):
        self.crash()
        self.back()
        self.assertEqual(self.world.await_deploy(self.world.deploy("acme", kind="teardown")["id"])["state"], "succeeded")

    def test_3_nothing_that_was_acknowledged_is_lost(self):
        w = self.world
        made, stop = [], threading.Event()

        def make(number):
            for n in range(1_000_000):
                name = f"x{number}-{n}"
                try:
                    if w.call("POST", "/v1/installs", {"name": name, "app": "shop"}).status == 201:
                        made.append(name)
                except OSError:
                    return
                if stop.is_set():
                    return

        threads = [threading.Thread(target=make, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        eventually(lambda: len(made) > 40, "some are made")
        self.crash()
        stop.set()
        for thread in threads:
            thread.join()
        self.back()
        there = {install["name"] for install in w.get("/v1/installs")["items"]}
        self.assertEqual(set(made) - there, set())

    def test_4_a_lease_and_its_log_outlive_the_crash(self):
        w = self.world
        w.api("POST", "/v1/installs", {"name": "raw", "app": "shop"})
        agent = RawAgent(w, "install", "raw")
        w.deploy("raw", component="b")
        lease = agent.lease()
        job, epoch = lease["job"], lease["epoch"]
        agent.write(job, "start", epoch)
        agent.write(job, "logs", epoch, b"before\n", "?offset=0")
        self.crash()
        self.back()
        self.assertEqual(agent.write(job, "logs", epoch, b"before\n", "?offset=0").json["expected_offset"], 7)
        agent.write(job, "logs", epoch, b"after\n", "?offset=7")
        body = {"outcome": "succeeded"}
        self.assertEqual(agent.write(job, "complete", epoch, body).status, 200)
        self.crash()
        self.back()
        self.assertEqual(agent.write(job, "complete", epoch, body).status, 200, "repeating it is safe after a crash, too")
        self.assertEqual(w.job(job)["state"], "succeeded")
        self.assertEqual(w.call("GET", f"/v1/jobs/{job}/logs").body, b"before\nafter\n")


class AgentCrash(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        w = cls.world
        w.ims()
        publish(w, w.dir / "shop", "shop", "1", {"a": component()})
        w.api("POST", "/v1/installs", {"name": "acme", "app": "shop"})
        cls.agent = w.install_agent("acme")
        w.await_deploy(w.deploy("acme")["id"])

    def restart(self):
        type(self).agent = self.world.install_agent("acme", again=True)

    def ships(self, version, text, **run):
        w = self.world
        publish(w, w.dir / "shop", "shop", version, {"a": component(service(text, **run))})

    def said(self):
        return (self.world.dir / "acme" / "components" / "a" / "data" / "said").read_text().strip()

    def test_1_services_outlive_the_agent_and_are_adopted(self):
        w = self.world
        [pid] = w.services("acme")
        self.agent.kill()
        self.assertTrue(alive(pid), "the service does not notice")
        self.restart()
        self.assertEqual(w.services("acme"), [pid], "the same one, and only one")
        self.ships("2", "second")
        self.assertEqual(w.await_deploy(w.deploy("acme", "2")["id"])["state"], "succeeded")
        self.assertEqual(self.said(), "second")
        self.assertFalse(alive(pid), "the new agent could stop what the old one had started")
        self.assertEqual(len(w.services("acme")), 1)

    def test_2_an_adopted_service_is_watched(self):
        w = self.world
        self.agent.kill()
        self.restart()
        [pid] = w.services("acme")
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: (now := w.services("acme")) != [pid] and len(now) == 1, "it is started again, once")

    def test_3_a_crash_in_the_middle_of_an_apply(self):
        w, gate = self.world, self.world.dir / "gate"
        self.ships("3", "third", **gated(gate))
        [before] = w.services("acme")
        deploy = w.deploy("acme", "3")
        job = deploy["jobs"][0]["id"]
        eventually((w.dir / "gate.reached").exists, "the update runs")
        self.agent.kill()
        gate.touch()
        self.assertEqual(w.services("acme").count(before), 1, "what ran runs on")
        self.restart()
        self.assertEqual(w.await_deploy(deploy["id"])["state"], "succeeded")
        self.assertEqual(w.job(job)["attempt"], 2)
        self.assertEqual(self.said(), "third")
        self.assertEqual(len(w.services("acme")), 1)

    def test_4_sigterm_gives_back_what_runs_and_leaves_the_services(self):
        w, gate = self.world, self.world.dir / "gate4"
        self.ships("4", "fourth", **gated(gate))
        deploy = w.deploy("acme", "4")
        job = deploy["jobs"][0]["id"]
        eventually((w.dir / "gate4.reached").exists, "the update runs")
        pid = self.recorded()
        self.assertIn(pid, w.services("acme"))
        self.agent.terminate()
        self.assertEqual(self.agent.wait(), 0)
        self.assertEqual(w.job(job)["state"], "queued", "given back at once, no lease to run out")
        self.assertTrue(alive(pid))
        gate.touch()
        self.restart()
        self.assertEqual(w.await_deploy(deploy["id"])["state"], "succeeded")
        self.assertEqual(self.said(), "fourth")

    def recorded(self):
        """The service's pid; the update's command runs beside it."""
        return int((self.world.dir / "acme" / "components" / "a" / "service.pid").read_text().split()[2])


class Drain(Case):
    def test_sigterm_wakes_who_waits_and_ends_well(self):
        w = self.world
        server = w.ims()
        agent = RawAgent(w)
        newest = w.get("/v1/events?after=0")["items"][-1]["seq"]
        answers = {}
        events = f"/v1/events?after={newest + 1}&wait=50"
        waiting = [threading.Thread(target=lambda: answers.update(poll=agent.poll_answer(wait_s=50))),
                   threading.Thread(target=lambda: answers.update(events=w.call("GET", events)))]
        for thread in waiting:
            thread.start()
        eventually(lambda: b"\nconsign_polls_parked 1\n" in w.call("GET", "/metrics").body, "the poll is parked")
        started = time.monotonic()
        server.terminate()
        self.assertEqual(server.wait(), 0)
        for thread in waiting:
            thread.join(10)
        self.assertLess(time.monotonic() - started, 25)
        self.assertEqual(answers["poll"].status, 204)
        self.assertEqual((answers["events"].status, answers["events"].json["items"]), (200, []))
        self.assertIn("draining", server.text())


class Refusals(Case):
    """Each is one line that says what, and at most one more that says what to do."""

    def refused(self, *args, code=None, prefix=(), env=None, binary=BINARY):
        done = subprocess.run([*prefix, binary, *map(str, args)], env=self.world.env(**(env or {})), cwd="/",
                              capture_output=True, text=True, timeout=60)
        self.assertNotEqual(done.returncode, 0)
        if code:
            self.assertEqual(done.returncode, code, done.stderr)
        lines = done.stderr.strip().splitlines()
        self.assertTrue(lines and lines[0].startswith("consign: "), done.stderr)
        self.assertLessEqual(len(lines), 2, done.stderr)
        return done.stderr

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.world.ims()

    def test_port_in_use(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            said = self.refused("ims", "--data", self.world.dir / "second", "--listen", address, code=5)
            self.assertIn(address.rpartition(":")[2], said)
            self.assertIn("in use", said)

    def test_data_directory_in_use(self):
        said = self.refused("ims", "--data", self.world.dir / "ims", "--listen", "127.0.0.1:0", code=5)
        self.assertIn(str(self.world.dir / "ims"), said)
        self.assertIn("use", said)

    def test_data_directory_not_writable(self):
        w = self.world
        place = w.dir / "locked"
        place.mkdir(mode=0o755)
        prefix, binary = (), BINARY
        if os.geteuid() == 0:
            if not shutil.which("setpriv"):
                self.skipTest("root may write anywhere, and there is no setpriv to become somebody else")
            prefix = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
            w.dir.chmod(0o755)
            binary = shutil.copy(BINARY, w.dir / "consign")
            os.chmod(binary, 0o755)
        else:
            place.chmod(0o500)
        flags_of = {"ims": ["--listen", "127.0.0.1:0"], "build-agent": ["--ims", w.url], "install-agent": ["--ims", w.url]}
        for mode, flags in flags_of.items():
            with self.subTest(mode=mode):
                said = self.refused(mode, "--data", place / "data", *flags, prefix=prefix, binary=binary, code=4)
                self.assertIn(str(place / "data"), said)
                self.assertRegex(said, "[Pp]ermission denied")

    def test_a_newer_database(self):
        w = self.world
        other = World()
        self.addCleanup(other.stop)
        server = other.ims()
        server.terminate()
        server.wait()
        with sqlite3.connect(other.dir / "ims" / "ims.db") as database:
            database.execute("INSERT INTO schema_version(number, applied_at) VALUES (999, 0)")
        database.close()
        before = (other.dir / "ims" / "ims.db").read_bytes()
        said = self.refused("ims", "--data", other.dir / "ims", "--listen", "127.0.0.1:0", code=1)
        for word in ("ims.db", "999", "newer version"):
            self.assertIn(word, said)
        self.assertEqual((other.dir / "ims" / "ims.db").read_bytes(), before, "it was not touched")
        self.assertTrue(w.get("/v1/status"))

    def test_wrong_tokens_and_urls(self):
        w = self.world
        data = w.dir / "agent"
        for kind in ("build-agent", "install-agent"):
            with self.subTest(kind=kind):
                said = self.refused(kind, "--data", data / kind, "--ims", w.url, env={"CONSIGN_ENROLL": "cet_wrong"}, code=4)
                self.assertIn("not known", said)
                nobody = f"127.0.0.1:{free_port()}"
                said = self.refused(kind, "--data", data / kind, "--ims", f"http://{nobody}", env={"CONSIGN_ENROLL": "x"}, code=6)
                self.assertIn(nobody, said)
                self.refused(kind, "--data", data / kind, "--ims", "no url", env={"CONSIGN_ENROLL": "x"})
                self.assertIn("--enroll", self.refused(kind, "--data", data / kind, "--ims", w.url))
        token = w.api("POST", "/v1/agents/enroll-token", {}).json["token"]
        said = self.refused("install-agent", "--data", data / "mixed", "--ims", w.url, env={"CONSIGN_ENROLL": token})
        self.assertIn("build agent", said)
        RawAgent(w, token=token)
        said = self.refused("build-agent", "--data", data / "late", "--ims", w.url, env={"CONSIGN_ENROLL": token}, code=4)
        self.assertIn("used already", said)

    def test_an_agent_that_was_revoked(self):
        w = self.world
        agent = w.build_agent("revoked")
        w.consign("agent", "revoke", re.search(r"agent ready agent=(\S+)", agent.text())[1])
        self.assertEqual(agent.wait(), 4)
        agent.expected = {4}
        again = w.start("revoked", "build-agent", "--data", w.dir / "revoked")
        self.assertEqual(again.wait(), 4)
        again.expected = {4}
        for said in (agent.text(), again.text()):
            self.assertRegex(said, r"consign: the IMS does not accept this agent: .*is revoked\n.*agent\.json")

    def test_two_agents_on_one_directory(self):
        w = self.world
        w.build_agent()
        said = self.refused("build-agent", "--data", w.dir / "build-agent", code=5)
        self.assertIn(str(w.dir / "build-agent"), said)


class Tls(Case):
    def test_everything_over_https(self):
        w = self.world
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", "/CN=ims", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"],
                       cwd=w.dir, check=True, capture_output=True)
        w.ca_file = w.dir / "cert.pem"
        w.ims("--tls-cert", w.dir / "cert.pem", "--tls-key", w.dir / "key.pem")
        self.assertTrue(w.url.startswith("https://"))
        w.build_agent()
        publish(w, w.dir / "shop", "shop", "0", {"a": component()})
        w.consign("build", "shop", "--source", w.dir / "shop", "--wait")
        w.consign("release", "create", "shop", "--version", "1")
        w.api("POST", "/v1/installs", {"name": "acme", "app": "shop"})
        w.install_agent("acme")
        w.consign("deploy", "acme", "--wait")
        self.assertEqual(len(w.services("acme")), 1)

        stranger = w.consign("status", env={"CONSIGN_CA_FILE": ""}, expect=6)
        self.assertIn("certificate", stranger.stderr)
        self.assertIn("--ca-file FILE", stranger.stderr)
        agent = w.consign("build-agent", "--ims", w.url, "--enroll", "cet_x", "--data", w.dir / "no-ca",
                          env={"CONSIGN_CA_FILE": ""}, expect=6)
        self.assertIn("--ca-file FILE", agent.stderr)
        plain = w.consign("--url", w.url.replace("https:", "http:"), "status", expect=6)
        self.assertTrue(plain.stderr.strip())
        for cert, key in (("nowhere.pem", "key.pem"), ("key.pem", "key.pem"), ("cert.pem", "cert.pem")):
            with self.subTest(cert=cert, key=key):
                flags = ["--listen", "127.0.0.1:0", "--tls-cert", w.dir / cert, "--tls-key", w.dir / key]
                done = subprocess.run([BINARY, "ims", "--data", w.dir / "other", *flags], env=w.env(), capture_output=True,
                                      text=True, timeout=60)
                self.assertNotIn(done.returncode, (0, -signal.SIGABRT))
                self.assertIn(".pem", done.stderr)


if __name__ == "__main__":
    main()
