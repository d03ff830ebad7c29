"""The command line as users and scripts meet it: exit codes, JSON, mistakes, settings, bad input."""
import json
import os
import re
import signal
import socket
import subprocess

from integration.apps import component, publish, write_app
from integration.harness import BINARY, Case, free_port, main
from integration.raw_agent import RawAgent


class Cli(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        w = cls.world
        w.ims()
        publish(w, w.dir / "shop", "shop", "1.0", {"a": component(), "b": component({"provision": [["false"]]})})
        for name in ("acme", "globex"):
            w.api("POST", "/v1/installs", {"name": name, "app": "shop"})
        w.install_agent("acme")

    def fails(self, code, *args, **options):
        """stderr of a command that must end with `code`; nothing of it goes to stdout, nor does an exception's text."""
        done = self.world.consign(*args, expect=code, **options)
        self.assertTrue(done.stderr.strip(), "it says why")
        self.assertNotRegex(done.stderr, r"terminate called|std::|Sanitizer")
        return done.stderr

    # Exit codes

    def test_0_done_and_1_failed(self):
        self.world.consign("status")
        self.fails(1, "install", "create", "other", "--app", "shop", "--input", "nope=1")
        self.fails(1, "status", "--ca-file", "/dev/null", "--url", "https://127.0.0.1:1")

    def test_2_usage(self):
        for args in (["deploy"], ["deploy", "--no-such-flag"], ["job", "list", "--state", "nonsense"],
                     ["ims", "--threads", "many"], ["ims", "--tls-cert", "x"], ["ims", "--lease-s", "4"], ["app", "apply"],
                     ["status", "extra"], ["-o", "yaml", "status"], ["user", "create", "x"]):
            with self.subTest(args=args):
                self.assertRegex(self.fails(2, *args), r"--help|did you mean|not one of|whole number|go together|not an address")

    def test_3_not_found(self):
        absent = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
        for args in (["app", "show", "none"], ["install", "show", "none"], ["deploy", "none"],
                     ["deploy", "acme", "--release", "9"], ["build", "shop/none"], ["build", "show", f"bld_{absent}"],
                     ["logs", f"job_{absent}"], ["job", "cancel", "none"], ["agent", "revoke", f"agt_{absent}"]):
            with self.subTest(args=args):
                self.assertIn(args[-1].removeprefix("shop/"), self.fails(3, *args), "it names what is not there")

    def test_4_not_allowed(self):
        viewer = self.world.user("viewer")
        self.assertIn("operator", self.fails(4, "deploy", "acme", env={"CONSIGN_TOKEN": viewer}))
        self.assertIn("token", self.fails(4, "status", env={"CONSIGN_TOKEN": "cst_wrong"}))
        self.assertIn("CONSIGN_TOKEN", self.fails(4, "status", env={"CONSIGN_TOKEN": ""}))

    def test_5_conflict(self):
        self.assertIn("acme", self.fails(5, "install", "create", "acme", "--app", "shop"))
        self.assertIn("1.0", self.fails(5, "release", "create", "shop", "--version", "1.0"))

    def test_6_unreachable(self):
        address = f"127.0.0.1:{free_port()}"
        self.assertIn(address, self.fails(6, "--url", f"http://{address}", "status"))
        self.assertIn("nowhere.invalid", self.fails(6, "--url", "http://nowhere.invalid:1", "status"))

    def test_7_the_job_itself_failed(self):
        said = self.fails(7, "deploy", "acme", "--component", "b", "--wait")
        self.assertIn("'false' ended with exit code 1", said)

    # JSON

    def test_every_command_speaks_json(self):
        w = self.world
        deploy = w.json("deploy", "acme", "--component", "a", "--wait")
        job, build = deploy["jobs"][0]["id"], w.get("/v1/builds")["items"][0]["id"]
        user = w.json("user", "create", "someone", "--role", "viewer")
        agent = RawAgent(w).id
        queued = w.deploy("globex")["jobs"][0]["id"]
        w.json("install", "create", "gate", "--app", "shop")
        gated = w.json("deploy", "gate", "--require-approval", "--priority", "5")["id"]
        source = w.dir / "shop"
        artifact = next(b["artifact"] for b in w.get("/v1/builds")["items"] if "artifact" in b)
        image = f"ims:{artifact['repository']}@{artifact['digest']}"
        commands = [["app", "apply", "-f", source / "consign.toml"], ["app", "list"], ["app", "show", "shop"], ["build", "list"],
                    ["build", "show", build], ["build", "shop/a", "--source", source], ["release", "list", "shop"],
                    ["release", "create", "shop", "--version", "j"], ["install", "create", "json", "--app", "shop"],
                    ["install", "list"], ["install", "show", "acme"], ["install", "set", "acme", "--input", "greeting=hi"],
                    ["install", "enroll", "acme"],
                    ["deploy", "list"], ["deploy", "show", deploy["id"]], ["deploy", "globex"], ["teardown", "json"], ["status"],
                    ["job", "list"], ["job", "show", job], ["job", "cancel", queued], ["job", "retry", queued], ["events"],
                    ["audit", "list"], ["user", "create", "other", "--role", "ci"], ["agent", "list"],
                    ["agent", "enroll"], ["user", "list"], ["user", "revoke", user["id"]],
                    ["approve", gated, "--component", "a"], ["reject", gated, "--reason", "not today"],
                    ["deploy", "cancel", gated], ["install", "check", "gate", "--what", "drift"],
                    ["agent", "drain", agent], ["agent", "resume", agent], ["agent", "rotate-key", agent],
                    ["build-agent", "build", "shop/a", "--source", source], ["agent", "revoke", agent],
                    ["registry", "login"], ["registry", "ls"], ["registry", "inspect", image],
                    ["registry", "copy", image, "ims:json/a:v1"], ["registry", "tags", "ims:json/a"],
                    ["registry", "export", "ims:json/a:v1", "a.tar"], ["registry", "import", "a.tar", "ims:json/a:v2"],
                    ["registry", "rm", "ims:json/a:v2"], ["registry", "gc", "--dry-run"], ["registry", "scrub"]]
        for command in commands:
            with self.subTest(command=" ".join(map(str, command[:2]))):
                self.assertIsInstance(w.json(*command), dict)
        for line in w.consign("logs", job, "-o", "json").stdout.splitlines():
            self.assertEqual(set(json.loads(line)), {"offset", "text"})
        # Every leaf of the command tree was there, but for the modes that stay.
        tried = {" ".join(map(str, c[:2])) for c in commands} | {c[0] for c in commands}
        for name, children in self.tree().items():
            for leaf in children or [None]:
                path = f"{name} {leaf}" if leaf else name
                if name not in ("ims", "install-agent", "logs"):
                    self.assertIn(path, tried)

    def tree(self):
        """Commands and their children, from the help."""
        listed = lambda text: re.findall(r"^  ([a-z][a-z-]*)  +\S", text, re.M)  # noqa: E731
        overview = self.world.consign().stdout.split("Global flags")[0]
        out = {}
        for name in listed(overview):
            text = self.world.consign(name, "--help").stdout
            part = re.search(r"\nCommands\n(.*?)\n\n", text, re.S)
            out[name] = listed(part[1] + "\n") if part else []
            self.assertIn("\nExamples\n", text, f"the help of {name} shows examples")
        self.assertGreaterEqual(len(out), 16)
        return out

    def test_a_reader_that_has_enough_is_no_error(self):
        """consign … | head"""
        job = self.world.json("deploy", "acme", "--component", "a", "--wait")["jobs"][0]["id"]
        for args in (["install", "list"], ["-o", "json", "install", "list"], ["logs", job], ["--help"]):
            with self.subTest(args=args):
                mine, theirs = os.pipe()
                os.close(mine)
                done = subprocess.run([BINARY, *args], env=self.world.env(), stdout=theirs, stderr=subprocess.PIPE, timeout=60)
                os.close(theirs)
                self.assertEqual(done.stderr, b"")
                self.assertIn(done.returncode, (141, -signal.SIGPIPE), "as a shell reports it")
        with open("/dev/full", "wb") as full:  # a result that was not written is an error
            done = subprocess.run([BINARY, "install", "list"], env=self.world.env(), stdout=full, stderr=subprocess.PIPE,
                                  timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"standard output", done.stderr)

    def test_results_on_stdout_progress_on_stderr(self):
        done = self.world.consign("-o", "json", "install", "create", "quiet", "--app", "shop")
        self.assertEqual(json.loads(done.stdout)["name"], "quiet")
        self.assertIn("next:", done.stderr)
        self.assertNotIn("\x1b", done.stdout + done.stderr, "no colours off a terminal")

    # Words

    def test_a_mistyped_command_gets_a_suggestion(self):
        for typed, meant in (("deplyo", "deploy"), ("instal", "install"), ("statsu", "status"), ("build-agnet", "build-agent")):
            self.assertIn(f"did you mean '{meant}'?", self.fails(2, typed))
        self.assertIn("did you mean 'list'?", self.fails(2, "job", "lits"))
        self.assertIn("did you mean '--release'?", self.fails(2, "deploy", "acme", "--relaese", "1"))

    def test_a_symlink_named_like_a_mode_runs_it(self):
        for mode in ("ims", "build-agent", "install-agent"):
            link = self.world.dir / "bin" / mode
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(BINARY)
            text = subprocess.run([link, "--help"], capture_output=True, text=True).stdout
            self.assertEqual(text, self.world.consign(mode, "--help").stdout)
        other = self.world.dir / "bin" / "consign-1.0"
        other.symlink_to(BINARY)
        self.assertRegex(subprocess.run([other, "--version"], capture_output=True, text=True).stdout, r"^consign \d")

    # Settings

    def test_flags_beat_environment_beat_file(self):
        w = self.world
        nobody = f"127.0.0.1:{free_port()}"
        dead = f"http://{nobody}"
        file = w.dir / "settings.toml"
        file.write_text(f'url = "{w.url}"\noutput = "json"\n[job.list]\nstate = "succeeded"\n')
        json.loads(w.consign("--config", file, "status", env={"CONSIGN_URL": ""}).stdout)
        self.assertIn(nobody, self.fails(6, "--config", file, "status", env={"CONSIGN_URL": dead}))
        w.consign("--config", file, "--url", w.url, "status", env={"CONSIGN_URL": dead})
        self.assertIn("IMS", w.consign("--config", file, "-o", "table", "status").stdout)
        states = {j["state"] for j in json.loads(w.consign("--config", file, "job", "list").stdout)["items"]}
        self.assertLessEqual(states, {"succeeded"})
        json.loads(w.consign("status", env={"CONSIGN_CONFIG": str(file)}).stdout)
        file.write_text("urll = 'x'\n")
        self.assertIn("did you mean 'url'?", self.fails(2, "--config", file, "status"))

    # Bad input

    def test_every_fault_of_a_consign_toml_at_once(self):
        w = self.world
        file = w.dir / "bad.toml"
        file.write_text('''app = "faulty"
colour = "red"

[inputs.port]
type = "numbr"

[[component]]
name = "a"
type = "bundle"
source = "./a"
depends_on = ["b"]

[[component]]
name = "b"
type = "bundle"
source = "../outside"
depends_on = ["a", "zz"]
[component.run]
service = "not a list"
provision = [["echo", "{{ inputs.prot }}"]]
health = { http = "http://x/", within_s = "soon" }
''')
        said = self.fails(1, "app", "apply", "-f", file)
        lines = [line for line in said.splitlines() if line.startswith(str(file))]
        wanted = {2: "colour", 5: "number", 16: "outside", 17: "zz", 19: "service", 20: "inputs.prot", 21: "within_s"}
        for at, word in wanted.items():
            named = [line for line in lines if line.startswith(f"{file}:{at}:") and word in line]
            self.assertTrue(named, f"line {at}: {word}\n{said}")
        self.assertIn("a → b → a", said, "the cycle is shown")
        self.fails(3, "app", "show", "faulty")
        # The server judges for itself, for those that do not use this client.
        answer = w.call("PUT", "/v1/apps/faulty", {"toml": file.read_text(), "file_name": "bad.toml"})
        detail = self.problem(answer, 400, "invalid_argument")["detail"]
        self.assertGreaterEqual(detail.count("bad.toml:"), 8)
        self.fails(3, "app", "show", "faulty")

    def test_inputs_are_checked_against_their_types(self):
        w = self.world
        typed = write_app(w.dir / "typed", "typed", {"a": component({"provision": [["true"]]})},
                          {"port": {"type": "number"}, "name": {}, "secret": {"sensitive": True}})
        w.consign("app", "apply", "-f", typed)
        said = self.fails(1, "install", "create", "t", "--app", "typed",
                          "--input", "port=eighty", "--input", "prot=1", "--input", "name=x")
        for word in ("port", "number", "prot"):
            self.assertIn(word, said)
        said = self.fails(1, "install", "create", "t", "--app", "typed", "--input", "port=80")
        for word in ("name", "secret"):
            self.assertIn(word, said, "all that is missing, at once")
        self.fails(3, "install", "show", "t")
        shown = w.json("install", "create", "t", "--app", "typed",
                       "--input", "port=80", "--input", "name=x", "--input", "secret=hunter2")
        self.assertEqual(shown["inputs"], {"port": 80, "name": "x", "secret": "(sensitive)"})

    def test_a_source_with_things_that_do_not_travel(self):
        w = self.world
        source = w.dir / "odd"
        w.consign("app", "apply", "-f", write_app(source, "odd", {"a": component()}))

        def put(name, make):
            make(source / "a" / name)
            for command in (["build", "odd"], ["build-agent", "build", "odd"]):
                done = subprocess.run([BINARY, *command, "--source", source], env=w.env(), capture_output=True, text=True)
                self.assertNotEqual(done.returncode, 0, f"{command} took {name}")
                self.assertIn(f"{source}/a/{name}", done.stderr, "the path is named")
            (source / "a" / name).unlink()

        def listen(path):
            here = os.getcwd()
            os.chdir(path.parent)
            with socket.socket(socket.AF_UNIX) as s:
                s.bind(path.name)
            os.chdir(here)

        put("pipe", os.mkfifo)
        put("socket", listen)
        put("leaving", lambda path: path.symlink_to("../../../etc/passwd"))
        put("absolute", lambda path: path.symlink_to("/etc/passwd"))
        self.fails(3, "build", "odd", "--source", w.dir / "nowhere")
        recorded = {build["state"] for build in w.json("build", "list", "--app", "odd")["items"]}
        self.assertEqual(recorded, {"failed"}, "CI mode records; the client queues nothing")
        w.consign("build", "odd", "--source", source)


if __name__ == "__main__":
    main()
