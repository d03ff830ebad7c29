"""The processes under test: an IMS on a small disk, four install agents (one of them on a small disk), a build agent, and a
proxy in front of each way they talk. Everything can be killed and comes back as the same thing."""
import os
import random
import signal
import threading
import time

from campaign import ledger
from campaign.disk import Disk
from campaign.proxy import Network
from integration.apps import component, publish, service, write_app
from integration.harness import World, free_port

INSTALLS = ["ash", "birch", "cedar", "dogwood"]
BUILDER = "builder"
AGENTS = [*INSTALLS, BUILDER]
IMS = "ims"
REGISTRY = "registry"
SMALL = INSTALLS[-1]  # has a disk of its own
LEASE_S = 5           # the shortest that the IMS takes

APP = "shop"
INPUTS = {"ticket": {"default": "none"}, "lines": {"type": "number", "default": 5}, "quiet": {"default": "0"},
          "exit": {"type": "number", "default": 0}}


class Fleet(World):
    def __init__(self):
        super().__init__()
        self.network = Network()
        self.running, self.kills, self.notes, self.ended = {}, [], [], []
        self.release = 0
        self.full, self.stopped = set(), set()
        self.lock = threading.RLock()
        self.ledger = self.dir / "ledger"
        self.ledger.mkdir()
        self.disks = {IMS: Disk(self.dir / "ims-disk"), SMALL: Disk(self.dir / SMALL)}
        port = free_port()
        self.listen = f"127.0.0.1:{port}"
        self.proxies = {name: self.network.proxy(free_port(), port) for name in [*AGENTS, REGISTRY]}

    def setup(self):
        self.start_one(IMS)
        step = lambda part: [["./step", f"{self.ledger}/{{{{ install.name }}}}.{part}", "{{ inputs.ticket }}",  # noqa: E731
                              "{{ inputs.lines }}", "{{ inputs.quiet }}", "{{ inputs.exit }}"]]
        undo = lambda part: [["./step", f"{self.ledger}/{{{{ install.name }}}}.{part}", "down-{{ inputs.ticket }}",  # noqa: E731
                              "3", "0", "0"]]
        files = {"step": ledger.STEP}
        parts = {"a": component(service("{{ inputs.ticket }}", within_s=20, provision=step("a"), teardown=undo("a")), files=files),
                 "b": component({"provision": step("b"), "teardown": undo("b")}, ["a"], files=files)}
        write_app(self.dir / APP, APP, parts, INPUTS)
        self.publish(random.Random(0))
        for name in INSTALLS:
            self.api("POST", "/v1/installs", {"name": name, "app": APP})
        for name in AGENTS:
            self.start_one(name, first=True)
        self.consign("build", APP, "--source", self.dir / APP, "--wait")
        builds = self.get(f"/v1/builds?app={APP}")["items"]
        self.sources = {build["component"]: build["source"] for build in builds if build.get("source")}
        self.digests = {build["component"]: build["artifact"]["digest"] for build in builds}

    def publish(self, rng):
        """One more release, of artifacts that no install has yet."""
        self.release += 1
        for part in ("a", "b"):
            (self.dir / APP / part / "payload").write_bytes(rng.randbytes(rng.choice((1 << 10, 100 << 10, 400 << 10))))
        publish(self, self.dir / APP, APP, str(self.release))

    # One process

    def launch(self, name, first):
        if name == IMS:
            registry = f"http://127.0.0.1:{self.proxies[REGISTRY].port}"
            return self.start(IMS, "ims", "--data", self.disks[IMS].directory / "data", "--listen", self.listen, "--lease-s",
                              LEASE_S, "--public-url", registry), "serving url="
        env = {}
        if first:
            path = "/v1/agents/enroll-token" if name == BUILDER else f"/v1/installs/{name}/enroll-token"
            env["CONSIGN_ENROLL"] = self.api("POST", path, {}).json["token"]
        mode = ["build-agent"] if name == BUILDER else ["install-agent", "--registry-listen", "127.0.0.1:0", "--slots", "4"]
        return self.start(name, *mode, "--ims", f"http://127.0.0.1:{self.proxies[name].port}", "--data", self.dir / name,
                          env=env), "agent ready"

    def start_one(self, name, first=False):
        """Starts it if it does not run. On a full disk it may refuse to: then it comes back with the space."""
        with self.lock:
            old = self.running.get(name)
            if old and old.popen.poll() is None:
                return
            if old and old.popen.returncode not in (*old.expected, 0):
                self.ended.append(f"{name} ended by itself with {old.popen.returncode}:\n{old.text()[-2000:]}")
                old.expected = {old.popen.returncode}
            full = name in self.full
            process, word = self.launch(name, first)
            try:
                process.wait_for(word)
            except AssertionError:
                if not full or process.popen.poll() is None:
                    raise
                process.expected = {process.popen.returncode}
                self.notes.append(f"{name} did not start on a full disk")
                return
            self.running[name] = process
            if name == IMS:
                self.url = f"http://{self.listen}"
                self.token = (self.disks[IMS].directory / "data" / "owner.token").read_text().strip()

    def alive(self, name):
        process = self.running.get(name)
        return process if process and process.popen.poll() is None else None

    def kill(self, name):
        with self.lock:
            if process := self.alive(name):
                self.kills.append((name, time.time()))
                process.kill()
                self.stopped.discard(name)

    def terminate(self, name):
        """As systemd would: it drains."""
        with self.lock:
            if process := self.alive(name):
                process.terminate()
                process.wait()

    def await_step(self, install, word, within_s=1.0):
        """Until a step of this install says `word`, or the time is over."""
        said = lambda: sum(file.read_text().count(f"{word} ") for file in self.ledger.glob(f"{install}.*"))  # noqa: E731
        before, deadline = said(), time.monotonic() + within_s
        while said() == before and time.monotonic() < deadline:
            time.sleep(0.005)

    def freeze(self, name):
        with self.lock:
            if process := self.alive(name):
                self.stopped.add(name)
                process.popen.send_signal(signal.SIGSTOP)

    def thaw(self, name):
        with self.lock:
            if name in self.stopped:
                self.stopped.discard(name)
                if process := self.alive(name):
                    process.popen.send_signal(signal.SIGCONT)

    def fill(self, name):
        self.full.add(name)
        self.disks[name].fill()

    def make_room(self, name):
        self.disks[name].empty()
        self.full.discard(name)

    def kill_service(self, install):
        """The service of component a, as the record says; the agent's supervisor starts it again."""
        try:
            record = (self.dir / install / "components" / "a" / "service.pid").read_text().split()
            if (pid := int(record[2])) in self.services(install):  # the record may be old, and the number somebody else's
                os.kill(pid, signal.SIGKILL)
        except (OSError, IndexError):
            pass  # it does not run now

    def ended_by_themselves(self):
        """What no fault asked to end, and did, since the last call: [text]."""
        with self.lock:
            for name in self.running:
                self.start_one(name)
            ended, self.ended = self.ended, []
            return ended

    def was_killed(self, name, after, before):
        return any(name == who and after <= at <= before for who, at in self.kills)

    def stop(self):
        try:
            super().stop()
        finally:
            self.network.close()
            for disk in self.disks.values():
                disk.unmount()
            self._scratch.cleanup()
