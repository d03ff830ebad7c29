"""GET /v1/openapi.json against what the server really takes and gives: the answers of a whole life of an app are held
against the schemas, and the schemas against requests that the server refuses."""
import copy
import json
import re

import jsonschema

from integration.apps import component, publish, write_app
from integration.harness import Case, main
from integration.raw_agent import RawAgent, exchange

VERBS = {"get", "put", "post", "delete"}


class OpenApi(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        w = cls.world
        w.ims()
        cls.document = w.call("GET", "/v1/openapi.json", token=None).json
        cls.operations = {(verb.upper(), path): about for path, verbs in cls.document["paths"].items()
                          for verb, about in verbs.items()}
        cls.answered = set()

    def strict(self, schema):
        """`schema` as the server of this very version means it: no members but those it names."""
        schema = copy.deepcopy(schema)
        schema["components"] = copy.deepcopy(self.document["components"])
        for described in schema["components"]["schemas"].values():
            described["additionalProperties"] = False
        return schema

    def valid(self, value, schema):
        jsonschema.Draft202012Validator(self.strict(schema)).validate(value)

    def route_of(self, method, path):
        path = path.split("?")[0]
        found = [(verb, pattern) for verb, pattern in self.operations
                 if verb == method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", pattern), path)]
        return min(found, key=lambda route: route[1].count("{"))

    def check(self, method, path, answer):
        """The answer is one that the document allows."""
        route = self.route_of(method, path)
        responses = self.operations[route]["responses"]
        described = responses.get(str(answer.status))
        if described is None:
            self.assertGreaterEqual(answer.status, 400, f"{route} does not say that it may answer {answer.status}")
            described = self.document["components"]["responses"]["Problem"]
        elif answer.status < 300:
            self.answered.add(route)
        if "content" not in described:
            self.assertEqual(answer.body, b"", route)
            return answer
        kind = answer.headers.get_content_type()
        self.assertIn(kind, described["content"], route)
        if kind.endswith("json"):
            with self.subTest(route=route):
                self.valid(answer.json, described["content"][kind]["schema"])
        return answer

    def api(self, method, path, body=None, **options):
        route = self.route_of(method, path)
        content = self.operations[route].get("requestBody", {}).get("content", {})
        if isinstance(body, (dict, list)):
            with self.subTest(request=route):
                self.valid(body, content["application/json"]["schema"])
        answer = self.check(method, path, self.world.call(method, path, body, **options))
        self.assertLess(answer.status, 400, f"{method} {path}: {answer}")
        return answer.json if answer.body and answer.headers.get_content_type() == "application/json" else None

    def test_every_answer_is_as_described(self):
        w = self.world
        publish(w, w.dir / "shop", "shop", "1", {"a": component(), "b": component()})
        toml = (w.dir / "shop" / "consign.toml").read_text()
        self.api("PUT", "/v1/apps/shop", {"toml": toml})
        self.api("GET", "/v1/apps")
        self.api("GET", "/v1/apps/shop")
        self.api("POST", "/v1/installs", {"name": "acme", "app": "shop", "inputs": {}})
        self.api("PUT", "/v1/installs/acme/inputs", {"inputs": {}})
        install = self.api("POST", "/v1/installs/acme/enroll-token", {"ttl_s": 600})["token"]
        build = self.api("POST", "/v1/agents/enroll-token", {})["token"]
        git = {"git": "https://git.invalid/lib.git", "ref": "main"}  # is queued, and never built
        lib = write_app(w.dir / "lib", "lib", {"g": component(source=git)})
        self.api("PUT", "/v1/apps/lib", {"toml": lib.read_text(), "file_name": "consign.toml"})
        queued = self.api("POST", "/v1/builds", {"app": "lib"})["items"][0]
        self.assertIn("waiting_for", self.api("GET", f"/v1/builds/{queued['id']}"))
        self.api("GET", "/v1/builds?app=shop")
        done = next(b for b in w.get("/v1/builds")["items"] if b["state"] == "succeeded")
        self.api("POST", "/v1/builds/record", {"app": "shop", "component": "a", "config_version": done["config_version"],
                                               "outcome": "failed", "error": "it broke"})
        self.api("POST", "/v1/apps/shop/releases", {"version": "2"})
        self.api("GET", "/v1/apps/shop/releases")
        deploy = self.api("POST", "/v1/deploys", {"install": "acme", "release": "2"})
        self.api("GET", f"/v1/deploys/{deploy['id']}")
        self.api("GET", "/v1/deploys?install=acme")

        agent = RawAgent(w, "install", token=install)
        self.check("POST", "/v1/agents/enroll", RawAgent.enroll(w, build, "build", agent.key))
        self.check("POST", "/v1/token", exchange(w, agent.key.jwt(agent.claims())))
        poll = {"session": agent.session, "slots": 2, "wait_s": 0, "running": []}
        leases = self.api("POST", "/v1/agent/poll", poll, token=agent.access)["leases"]
        for lease, outcome in zip(leases, ("succeeded", "failed")):
            job = f"/v1/jobs/{lease['job']}"
            mine = {"token": agent.access, "headers": {"Consign-Lease": str(lease["epoch"])}}
            self.api("POST", f"{job}/start", **mine)
            self.api("POST", f"{job}/renew", **mine)
            self.api("POST", f"{job}/steps", {"steps": [{"seq": 1, "name": "x", "state": "running", "at": lease["deadline"]}]}, **mine)
            self.api("POST", f"{job}/logs?offset=0", b"hello\n", **mine)
            again = self.check("POST", f"{job}/logs", w.call("POST", f"{job}/logs?offset=0", b"hello\n", **mine))
            self.assertEqual(again.status, 409)
            self.api("POST", f"{job}/outputs", {"port": 1}, **mine)
            self.api("POST", f"{job}/pull-token", **mine)
            held = [{"job": each["job"], "epoch": each["epoch"]} for each in leases[leases.index(lease):]]
            self.api("POST", "/v1/agent/poll", {**poll, "slots": 0, "running": held}, token=agent.access)
            self.api("POST", f"{job}/complete", {"outcome": outcome, "error": "" if outcome == "succeeded" else "it broke",
                                                 "result": {"active_release": "2", "changed": True}}, **mine)
            self.api("GET", job)
            self.api("GET", f"{job}/logs?offset=0&wait=1")
        # What an idle or a leaving agent hears: nothing, 204.
        self.api("POST", "/v1/agent/poll", {"session": agent.session, "slots": 0, "wait_s": 0, "leaving": True}, token=agent.access)
        failed = leases[1]["job"]
        again = self.api("POST", f"/v1/jobs/{failed}/retry")
        self.api("POST", f"/v1/jobs/{again['id']}/cancel")
        for query in ("", "?state=failed", "?install=acme", f"?deploy={deploy['id']}"):
            self.api("GET", f"/v1/jobs{query}")
        self.api("GET", "/v1/installs")
        self.api("GET", "/v1/installs/acme")
        self.api("GET", "/v1/agents")
        gated = self.api("POST", "/v1/deploys", {"install": "acme", "require_approval": True, "priority": 5})["id"]
        self.api("POST", f"/v1/deploys/{self.api('GET', '/v1/deploys?install=acme')['items'][1]['id']}/cancel")
        waiting = self.api("GET", f"/v1/deploys/{gated}")
        self.assertEqual(waiting["waiting_for"]["reason"], "approval")
        self.api("POST", f"/v1/deploys/{gated}/approve", {"component": "a"})
        self.api("POST", f"/v1/deploys/{gated}/reject", {"reason": "not today"})
        self.api("POST", f"/v1/deploys/{gated}/cancel")
        self.api("POST", "/v1/installs/acme/jobs", {"kind": "health"})
        for action in ("drain", "resume", "rotate-key"):
            self.api("POST", f"/v1/agents/{agent.id}/{action}")
        self.api("POST", "/v1/agent/key", {"public_key": agent.key.public_pem()}, token=agent.access)
        self.api("POST", f"/v1/agents/{agent.id}/revoke")
        made = self.api("POST", "/v1/tokens", {"name": "ann", "role": "viewer", "ttl_days": 7})
        self.api("GET", "/v1/tokens")
        self.api("DELETE", f"/v1/tokens/{made['id']}")
        self.api("PUT", "/v1/registry/settings", {"repository": "shop/a", "immutable_tags": False})
        for run, body in (("gc", {"dry_run": True}), ("scrub", {})):
            self.api("POST", f"/v1/registry/{run}?wait=30", body)
            self.api("GET", f"/v1/registry/{run}")
        for path in ("/v1/registry", "/v1/audit", "/v1/events", "/v1/events?after=-1", "/v1/status", "/v1/openapi.json", "/healthz", "/readyz", "/metrics"):
            self.api("GET", path)
        for path in ("/v1/jobs/nonsense", "/v1/installs/nobody", "/v1/events?after=x"):
            self.check("GET", path, w.call("GET", path))
        self.assertEqual(set(self.operations) - self.answered, set(), "routes that this life did not touch: add them")

    def test_every_operation_says_what_it_answers_and_who_may_ask(self):
        for (verb, path), about in self.operations.items():
            with self.subTest(route=f"{verb} {path}"):
                done = {status: said for status, said in about["responses"].items() if status.startswith("2")}
                self.assertTrue(done)
                for status, said in done.items():
                    self.assertEqual(status == "204", "content" not in said)
                self.assertIn("default", about["responses"])
                self.assertIn(about["x-access"], ("none", "agent", "viewer", "ci", "operator", "owner"))
                named = {p["name"] for p in about.get("parameters", ()) if p["in"] == "path"}
                self.assertEqual(named, set(re.findall(r"\{(\w+)\}", path)))

    def test_every_reference_leads_somewhere_and_every_schema_is_one(self):
        text = json.dumps(self.document)
        for reference in set(re.findall(r'"#/components/(\w+/\w+)"', text)):
            kind, name = reference.split("/")
            self.assertIn(name, self.document["components"][kind])
        for name, schema in self.document["components"]["schemas"].items():
            with self.subTest(schema=name):
                jsonschema.Draft202012Validator.check_schema(schema)

    def test_what_a_request_schema_refuses_the_server_refuses(self):
        """Required members, and no others: read from the document, tried on the server."""
        filler = {"string": "x", "integer": 1, "boolean": True, "array": [], "object": {}}
        tried = 0
        for (verb, path), about in self.operations.items():
            schema = about.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            if "$ref" not in schema or about["x-access"] == "agent":
                continue
            described = self.document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]

            def example(of):
                of = self.document["components"]["schemas"][of["$ref"].rsplit("/", 1)[1]] if "$ref" in of else of
                return of["enum"][0] if "enum" in of else filler[of["type"]]

            whole = {name: example(described["properties"][name]) for name in described.get("required", ())}
            url = re.sub(r"\{\w+\}", "none", path)
            for missing in whole:
                with self.subTest(route=path, missing=missing):
                    detail = self.problem(self.world.call(verb, url, {k: v for k, v in whole.items() if k != missing}),
                                          400, "invalid_argument")["detail"]
                    self.assertIn(missing, detail)
                    tried += 1
            detail = self.problem(self.world.call(verb, url, {**whole, "no_such_member": 1}), 400, "invalid_argument")["detail"]
            self.assertIn("no_such_member", detail)
            for name in described["properties"]:  # and each one that it names is known
                value = example(described["properties"][name])
                answer = self.world.call(verb, url, {**whole, name: value})
                self.assertNotIn("is not a known", answer.body.decode(), f"{path}: {name}")
        self.assertGreater(tried, 10)

    def test_the_stream_is_described_where_there_is_one(self):
        streams = {path for (_, path), about in self.operations.items()
                   if "text/event-stream" in about["responses"].get("200", {}).get("content", {})}
        self.assertEqual(streams, {"/v1/events", "/v1/jobs/{id}/logs"})
        for path in streams:
            real = path.replace("{id}", "job_01ARZ3NDEKTSV4RRFFQ69G5FAV")
            answer = self.world.call("GET", real, token=None, headers={"Accept": "text/event-stream"})
            self.problem(answer, 401, "unauthenticated")


if __name__ == "__main__":
    main()
