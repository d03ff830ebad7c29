"""Drives the real binary: processes on scratch directories, the client, the HTTP API.

A World is one scratch directory and everything that was started in it. Its stop() ends the processes in order and fails
when one of them does not end well (a sanitizer's report is an exit code, too), then ends what services still live there.
Run one file by hand:  PYTHONPATH=tests CONSIGN_BINARY=build/asan/consign python3 tests/integration/main_job_test.py -v
"""
import http.client
import json
import os
import pathlib
import random
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse

BINARY = os.path.realpath(os.environ.get("CONSIGN_BINARY", "build/asan/consign"))
PATIENCE_S = 30  # an upper bound for any single thing to happen on a busy machine; nothing is ever slept for that long


def eventually(check, what, within_s=PATIENCE_S):
    """The first true value of check()."""
    deadline = time.monotonic() + within_s
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s} s: {what}")
        time.sleep(0.05)


def free_port():
    """Below the range that the kernel hands out itself, so that nobody gets it between here and its use by accident."""
    for _ in range(200):
        port = random.randint(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise AssertionError("no free port")


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def processes_below(directory):
    """Pids of the processes that work in `directory`: services and commands of components do."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if f"{os.readlink(entry / 'cwd')}/".startswith(f"{directory}/") and alive(int(entry.name)):
                    found.append(int(entry.name))
            except OSError:
                pass
    return found


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """The `code` of a problem."""
        return self.json.get("code") if self.body else None

    def __repr__(self):
        return f"{self.status} {self.body[:500]!r}"


def request(url, method="GET", body=None, headers=None, timeout_s=70, ca_file=None):
    """One exchange, no redirects, no proxies. `body`: bytes, or anything else as JSON."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=timeout_s,
                                                 context=ssl.create_default_context(cafile=ca_file))
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout_s)
    sent = dict(headers or {})
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        sent.setdefault("Content-Type", "application/json")
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target, body=body, headers=sent)
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


class Process:
    """A running consign; its stderr is in `log`."""

    def __init__(self, directory, name, argv, env=None):
        number = len(list(directory.glob(f"{name}*.log")))
        self.name, self.log, self.out = name, directory / f"{name}.{number}.log", directory / f"{name}.{number}.out"
        self.expected = {0}
        with open(self.log, "wb") as log, open(self.out, "wb") as out:
            self.popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=log, env=env)

    @property
    def pid(self):
        return self.popen.pid

    def text(self):
        return self.log.read_text(errors="replace")

    def wait_for(self, pattern, within_s=PATIENCE_S):
        """The match of `pattern` in the log."""

        def look():
            found = re.search(pattern, self.text())
            if not found and self.popen.poll() is not None:
                raise AssertionError(f"{self.name} ended with {self.popen.returncode}:\n{self.text()}")
            return found

        return eventually(look, f"{self.name} says {pattern!r}", within_s)

    def kill(self):
        """As a crash: no handler runs."""
        self.popen.kill()
        self.popen.wait()
        self.expected = {-signal.SIGKILL}

    def terminate(self):
        if self.popen.poll() is None:
            self.popen.terminate()

    def wait(self, within_s=PATIENCE_S):
        try:
            return self.popen.wait(within_s)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            raise AssertionError(f"{self.name} did not end within {within_s} s of SIGTERM:\n{self.text()[-4000:]}") from None


class World:
    def __init__(self):
        self._scratch = tempfile.TemporaryDirectory(prefix="consign-test-")
        self.dir = pathlib.Path(self._scratch.name).resolve()
        self.processes = []
        self.url = self.token = self.ca_file = None

    # Processes

    def start(self, name, *args, env=None):
        process = Process(self.dir, name, [BINARY, *map(str, args)], env=self.env(**(env or {})))
        self.processes.append(process)
        return process

    def ims(self, *args, listen="127.0.0.1:0", data="ims"):
        process = self.start("ims", "ims", "--data", self.dir / data, "--listen", listen, *args)
        self.url = process.wait_for(r"serving url=(\S+)")[1]
        self.token = (self.dir / data / "owner.token").read_text().strip()
        return process

    def build_agent(self, name="build-agent", *args):
        enroll = self.api("POST", "/v1/agents/enroll-token", {}).json["token"]
        process = self.start(name, "build-agent", "--ims", self.url, "--data", self.dir / name, *args,
                             env={"CONSIGN_ENROLL": enroll})
        if "--once" not in args:
            process.wait_for("build agent ready")
        return process

    def install_agent(self, install, *args, again=False):
        """`again`: a new process on the data directory of an earlier one."""
        env = {}
        if not again:
            env["CONSIGN_ENROLL"] = self.api("POST", f"/v1/installs/{install}/enroll-token", {}).json["token"]
        process = self.start(install, "install-agent", "--ims", self.url, "--data", self.dir / install, "--slots", "4",
                             "--registry-listen", "127.0.0.1:0", *args, env=env)
        process.wait_for("install agent ready")
        return process

    def services(self, install):
        return processes_below(self.dir / install / "components")

    def stop(self):
        """Agents before the IMS, services last."""
        faults = []
        running = [p for p in self.processes if p.popen.poll() is None]
        for wanted in (lambda p: not p.name.startswith("ims"), lambda p: True):
            for process in filter(wanted, running):
                process.terminate()
            for process in filter(wanted, running):
                try:
                    process.wait()
                except AssertionError as error:
                    faults.append(str(error))
        for _ in range(3):
            for pid in processes_below(self.dir):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        for process in self.processes:
            if process.popen.returncode not in process.expected:
                faults.append(f"{process.name} ended with {process.popen.returncode}:\n{process.text()[-4000:]}")
        self.processes = []
        if faults:
            raise AssertionError("\n".join(faults))

    def show_logs(self):
        for log in sorted(self.dir.glob("*.log")):
            print(f"--- {log.name}\n{log.read_text(errors='replace')[-3000:]}", file=sys.stderr)

    # The client

    def env(self, **more):
        env = {k: v for k, v in os.environ.items() if not k.startswith("CONSIGN_")}
        env.update(HOME=str(self.dir), NO_COLOR="1", GIT_CONFIG_GLOBAL="/dev/null")
        if self.url:
            env["CONSIGN_URL"] = self.url
        if self.token:
            env["CONSIGN_TOKEN"] = self.token
        if self.ca_file:
            env["CONSIGN_CA_FILE"] = str(self.ca_file)
        env.update(more)
        return env

    def consign(self, *args, expect=0, env=None, cwd=None, input=None):
        """Runs the client; AssertionError if it does not end with the exit code `expect`."""
        done = subprocess.run([BINARY, *map(str, args)], env=self.env(**(env or {})), cwd=cwd or self.dir, input=input or "",
                              capture_output=True, text=True, timeout=120)
        if done.returncode != expect:
            raise AssertionError(f"consign {' '.join(map(str, args))}: exit code {done.returncode}, not {expect}\n"
                                 f"{done.stdout}{done.stderr}")
        return done

    def json(self, *args, **options):
        return json.loads(self.consign("-o", "json", *args, **options).stdout)

    # The API

    def call(self, method, path, body=None, token="owner", headers=None, timeout_s=70):
        """Whatever it answers. `token` None: no credential."""
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {self.token if token == 'owner' else token}"
        return request(self.url + path, method, body, sent, timeout_s, self.ca_file)

    def api(self, method, path, body=None, **options):
        """As call(), where a 2xx is expected."""
        answer = self.call(method, path, body, **options)
        if answer.status >= 300:
            raise AssertionError(f"{method} {path}: {answer!r}")
        return answer

    def get(self, path, **options):
        return self.api("GET", path, **options).json

    def user(self, role):
        return self.api("POST", "/v1/tokens", {"name": f"the {role}", "role": role}).json["token"]

    def job(self, job):
        return self.get(f"/v1/jobs/{job}")

    def await_job(self, job, *states):
        """The job once it is in one of `states`; fails when it ends in another."""

        def look():
            view = self.job(job)
            if view["state"] in states:
                return view
            if view["state"] in ("succeeded", "failed", "cancelled", "timed_out", "skipped"):
                raise AssertionError(f"job {job} is {view['state']}, not {states}: {view['error']}")
            return None

        return eventually(look, f"job {job} becomes {states}")

    def await_deploy(self, deploy):
        return eventually(lambda: (d := self.get(f"/v1/deploys/{deploy}"))["state"] not in ("queued", "running") and d,
                          f"deploy {deploy} ends")

    def deploy(self, install, release="", kind="deploy", component=""):
        return self.api("POST", "/v1/deploys",
                        {"install": install, "kind": kind, "release": release, "component": component}).json


class Case(unittest.TestCase):
    """One World per class, in cls.world; its logs are shown with a failure."""

    world = None

    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.addClassCleanup(cls.world.stop)

    def run(self, result=None):
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if self.world and len(result.failures) + len(result.errors) > before:
            self.world.show_logs()
        return result

    def problem(self, answer, status, code):
        """A refusal as RFC 9457 has it."""
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.headers.get_content_type(), "application/problem+json", answer)
        self.assertEqual(answer.json["code"], code, answer)
        self.assertEqual(answer.json["status"], status, answer)
        self.assertTrue(answer.json["detail"], answer)
        return answer.json


main = unittest.main
