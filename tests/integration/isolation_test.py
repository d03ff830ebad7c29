"""Who may call what, and what bad requests do: a table over every route of /v1/openapi.json."""
import json
import re

from integration.apps import component, publish
from integration.harness import Case, main, request
from integration.raw_agent import RawAgent, session_id

RANK = {"viewer": 0, "ci": 1, "operator": 2, "owner": 3}
NOW = "2026-01-01T00:00:00Z"
# A good body for each route that takes one, so that what is refused is refused for who asks, not for what is asked.
# None: the route reads no body.
BODIES = {
    "PUT /v1/apps/{app}": {"toml": 'app = "shop"'},
    "POST /v1/apps/{app}/releases": {"version": "9"},
    "POST /v1/builds": {"app": "shop"},
    "POST /v1/builds/record": {"app": "shop", "component": "a", "config_version": 1, "outcome": "failed", "error": "x"},
    "POST /v1/installs": {"name": "extra", "app": "shop"},
    "PUT /v1/installs/{name}/inputs": {"inputs": {"greeting": "x"}},
    "POST /v1/installs/{name}/enroll-token": {"ttl_s": 600},
    "POST /v1/deploys": {"install": "acme"},
    "POST /v1/deploys/{id}/approve": {"component": "a", "reason": "x"},
    "POST /v1/deploys/{id}/reject": {"component": "a", "reason": "x"},
    "POST /v1/deploys/{id}/cancel": None,
    "POST /v1/installs/{name}/jobs": {"kind": "health"},
    "POST /v1/jobs/{id}/cancel": None,
    "POST /v1/jobs/{id}/retry": None,
    "POST /v1/agents/enroll-token": {"ttl_s": 600},
    "POST /v1/agents/{id}/drain": None,
    "POST /v1/agents/{id}/resume": None,
    "POST /v1/agents/{id}/rotate-key": None,
    "POST /v1/agents/{id}/revoke": None,
    "POST /v1/tokens": {"name": "x", "role": "viewer"},
    "DELETE /v1/tokens/{id}": None,
    "POST /v1/agents/enroll": {"token": "cet_x", "public_key": "x", "kind": "build", "version": "1", "hostname": "h"},
    "POST /v1/token": None,  # a form
    "POST /v1/agent/poll": {"session": session_id(), "slots": 1, "wait_s": 0},
    "POST /v1/agent/key": {"public_key": "x"},
    "POST /v1/jobs/{id}/start": None,
    "POST /v1/jobs/{id}/renew": None,
    "POST /v1/jobs/{id}/steps": {"steps": [{"seq": 1, "name": "x", "state": "running", "at": NOW}]},
    "POST /v1/jobs/{id}/logs": None,  # bytes
    "POST /v1/jobs/{id}/outputs": {"a": 1},
    "POST /v1/jobs/{id}/complete": {"outcome": "succeeded"},
    "POST /v1/jobs/{id}/pull-token": None,
    "PUT /v1/registry/settings": {"repository": "shop/a"},
    "POST /v1/registry/gc": {"dry_run": True},
    "POST /v1/registry/scrub": {"mib_per_s": 64},
}
NEVER_RUN = {"/v1/registry/gc", "/v1/registry/scrub"}  # there is no report of what was never run
ANY_OBJECT = {"POST /v1/jobs/{id}/outputs"}  # the body is the app's own, so no field is unknown


class Isolation(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        w = cls.world
        w.ims()
        publish(w, w.dir / "shop", "shop", "1", {"a": component()})
        cls.agents = {}
        for name in ("acme", "globex"):
            w.api("POST", "/v1/installs", {"name": name, "app": "shop"})
            cls.agents[name] = RawAgent(w, "install", name)
        cls.agents["build"] = RawAgent(w, "build")
        cls.deploy = w.deploy("acme")["id"]
        cls.lease = cls.agents["acme"].lease()
        cls.job = cls.lease["job"]
        cls.agents["acme"].write(cls.job, "start", cls.lease["epoch"])
        cls.users = {role: w.user(role) for role in ("viewer", "ci", "operator")}
        cls.users["owner"] = w.token
        cls.a_token = w.get("/v1/tokens")["items"][-1]["id"]
        cls.build = w.get("/v1/builds")["items"][0]["id"]
        document = w.call("GET", "/v1/openapi.json", token=None).json
        cls.routes = [(verb.upper(), path, about["x-access"]) for path, verbs in document["paths"].items()
                      for verb, about in verbs.items()]

    def url(self, path):
        """`path` with ids that exist."""
        ids = {"jobs": self.job, "builds": self.build, "deploys": self.deploy, "agents": self.agents["globex"].id,
               "tokens": self.a_token}
        path = path.replace("{app}", "shop").replace("{name}", "acme")
        return re.sub(r"/(\w+)/\{id\}", lambda found: f"/{found[1]}/{ids[found[1]]}", path)

    def send(self, verb, path, token, body="good", query=""):
        if body == "good":
            body = BODIES.get(f"{verb} {path}")
        url = self.url(path) + (query or ("?offset=0" if path.endswith("/logs") else ""))
        return self.world.call(verb, url, body, token=token, headers={"Consign-Lease": str(self.lease["epoch"])})

    def state(self):
        """Everything that a request could have changed, as far as a user can see it."""
        paths = ["/v1/apps", "/v1/builds", "/v1/apps/shop/releases", "/v1/installs", "/v1/deploys", "/v1/jobs",
                 f"/v1/jobs/{self.job}", "/v1/agents", "/v1/tokens", "/v1/audit", "/v1/events?after=0"]
        text = json.dumps([self.world.get(path) for path in paths])
        log = self.world.call("GET", f"/v1/jobs/{self.job}/logs").body.decode()
        return re.sub(r'"(agent_)?last_seen": "[^"]*"', "", text) + log

    def test_the_table_covers_every_route(self):
        described = {f"{verb} {path}" for verb, path, _ in self.routes if verb != "GET"}
        self.assertEqual(described, set(BODIES), "a new route needs its row here")
        self.assertEqual({access for _, _, access in self.routes}, {"none", "agent", *RANK})

    def test_without_a_token(self):
        before = self.state()
        for verb, path, access in self.routes:
            if access != "none":
                with self.subTest(route=f"{verb} {path}"):
                    self.problem(self.send(verb, path, None), 401, "unauthenticated")
                    self.problem(self.send(verb, path, "cst_" + "x" * 43), 401, "unauthenticated")
        self.assertEqual(self.state(), before)

    def test_another_installs_agent_finds_nothing(self):
        before = self.state()
        seen = 0
        for verb, path, access in self.routes:
            if access != "agent" or "{id}" not in path:
                continue
            for stranger in ("globex", "build"):
                with self.subTest(route=f"{verb} {path}", stranger=stranger):
                    self.problem(self.send(verb, path, self.agents[stranger].access), 404, "not_found")
                    seen += 1
            absent = self.world.call(verb, path.replace("{id}", "job_01ARZ3NDEKTSV4RRFFQ69G5FAV") + "?offset=0",
                                     BODIES[f"{verb} {path}"], token=self.agents["globex"].access, headers={"Consign-Lease": "1"})
            self.problem(absent, 404, "not_found")
        self.assertGreaterEqual(seen, 14)
        self.assertEqual(self.state(), before)
        answer = self.agents["globex"].poll(slots=0, running=[(self.job, self.lease["epoch"])])
        self.assertEqual(answer["lost"], [self.job], "listing it in a poll does not make it one's own")
        self.assertEqual(self.world.job(self.job)["agent"], self.agents["acme"].id)

    def test_agents_are_no_users_and_users_no_agents(self):
        before = self.state()
        for verb, path, access in self.routes:
            with self.subTest(route=f"{verb} {path}"):
                if access == "agent":
                    self.problem(self.send(verb, path, self.users["owner"]), 403, "permission_denied")
                elif access != "none":
                    for agent in self.agents.values():
                        self.problem(self.send(verb, path, agent.access), 403, "permission_denied")
        self.assertEqual(self.state(), before)

    def test_roles(self):
        before = self.state()
        for verb, path, access in self.routes:
            for role, rank in RANK.items():
                if access in RANK and rank < RANK[access]:
                    with self.subTest(route=f"{verb} {path}", role=role):
                        detail = self.problem(self.send(verb, path, self.users[role]), 403, "permission_denied")["detail"]
                        self.assertIn(access, detail, "it says which role is needed")
                elif access in RANK and verb == "GET":
                    with self.subTest(route=f"{verb} {path}", role=role):
                        self.assertEqual(self.send(verb, path, self.users[role]).status, 404 if path in NEVER_RUN else 200)
        self.assertEqual(self.state(), before)

    def caller(self, access):
        return {"none": None, "agent": self.agents["acme"].access}.get(access, self.users["owner"])

    def test_bad_bodies_are_refused_and_change_nothing(self):
        before = self.state()
        for verb, path, access in self.routes:
            good = BODIES.get(f"{verb} {path}")
            if good is None:
                continue
            bad = {"not JSON": b'{"a": ', "not UTF-8": b'{"a": "\xff\xfe"}', "nested": b"[" * 50_000, "two values": b"{} {}"}
            if f"{verb} {path}" not in ANY_OBJECT:
                bad["no object"] = b"[1]"
                bad["a string"] = b'"x"'
                bad["an unknown field"] = json.dumps({**good, "no_such_field": 1}).encode()
                for name, value in good.items():
                    wrong = 7 if not isinstance(value, int) else "seven"
                    bad[f"{name} of a wrong type"] = json.dumps({**good, name: wrong}).encode()
            for why, body in bad.items():
                with self.subTest(route=f"{verb} {path}", why=why):
                    detail = self.problem(self.send(verb, path, self.caller(access), body), 400, "invalid_argument")["detail"]
                    if "field" in why:
                        self.assertIn("no_such_field", detail)
                    elif "wrong type" in why:
                        self.assertIn(why.split()[0], detail, "it names the field")
        self.assertEqual(self.state(), before)

    def test_huge_bodies_are_refused(self):
        before = self.state()
        for verb, path, access in self.routes:
            if verb == "GET":
                continue
            with self.subTest(route=f"{verb} {path}"):
                try:
                    answer = self.send(verb, path, self.caller(access), b" " * ((4 << 20) + 1))
                except (BrokenPipeError, ConnectionResetError):
                    continue  # refused before the last byte was sent, and the answer was lost with the connection
                self.problem(answer, 413, "too_large")
        self.assertEqual(self.state(), before)

    def test_odd_ids_and_paths(self):
        w = self.world
        for path in ("/v1/jobs/nonsense", "/v1/jobs/job_0", "/v1/jobs/dep_01ARZ3NDEKTSV4RRFFQ69G5FAV", "/v1/jobs/%00",
                     "/v1/jobs/..%2f..%2fx", "/v1/installs/nobody", "/v1/installs/%27%20OR%201=1", "/v1/apps/none",
                     "/v1/nothing", "/nothing"):
            with self.subTest(path=path):
                self.problem(w.call("GET", path), 404, "not_found")
        for query in ("after=x", "after=1.5", "wait=soon"):
            self.problem(w.call("GET", f"/v1/events?{query}"), 400, "invalid_argument")
        refused = w.call("DELETE", "/v1/apps/shop")
        self.assertEqual((refused.status, set(refused.headers["Allow"].split(", "))), (405, {"GET", "PUT"}))
        self.assertEqual(request(w.url + "/healthz").status, 200)

    def test_z_the_right_agent_may(self):
        """Last: what all the refused ones asked for works for the one whose job it is."""
        for verb, path, access in self.routes:
            if access == "agent" and "{id}" in path and not path.endswith("complete"):
                with self.subTest(route=path):
                    self.assertLess(self.send(verb, path, self.agents["acme"].access).status, 300)
        self.assertEqual(self.send("POST", "/v1/jobs/{id}/complete", self.agents["acme"].access).status, 200)


if __name__ == "__main__":
    main()
