"""Every route against every kind of bad input: exactly one problem document, and nothing has changed. The routes and the
shapes of their bodies are read from the server's own description, so that a new route is covered as soon as it is there."""
import base64
import email.parser
import json
import re
import socket
import sqlite3
import time
import urllib.parse

from integration.apps import component, publish
from integration.harness import Answer, Case, main
from integration.raw_agent import Key, RawAgent, b64url, exchange

RANK = {"viewer": 0, "ci": 1, "operator": 2, "owner": 3}
ABSENT = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
PREFIX = {"jobs": "job", "builds": "bld", "deploys": "dep", "agents": "agt", "tokens": "tok"}
WRONG = {"string": 7, "integer": "seven", "boolean": "yes", "array": {"a": 1}, "object": [1], "number": "x"}


class BadInput(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        w, kept = cls.world, ("--lease-s", "600")  # no lease runs out meanwhile: that would be a change
        ims = w.ims(*kept)
        made = w.api("POST", "/v1/tokens", {"name": "old", "role": "owner", "ttl_days": 1}).json
        cls.expired = made["token"]
        ims.terminate()
        ims.wait()
        database = sqlite3.connect(w.dir / "ims" / "ims.db")  # no interface makes a token that is over already
        database.execute("UPDATE user_tokens SET expires_at=? WHERE id=?", (int(time.time() * 1000) - 1000, made["id"]))
        database.commit()
        database.close()
        w.ims(*kept)
        publish(w, w.dir / "shop", "shop", "1", {"a": component()})
        cls.agents = {}
        for name in ("acme", "globex"):
            w.api("POST", "/v1/installs", {"name": name, "app": "shop"})
            cls.agents[name] = RawAgent(w, "install", name)
        cls.agents["build"] = RawAgent(w, "build")
        cls.deploy = w.deploy("acme")["id"]
        cls.lease = cls.agents["acme"].lease()
        cls.agents["acme"].write(cls.lease["job"], "start", cls.lease["epoch"])
        cls.agents["acme"].write(cls.lease["job"], "logs", cls.lease["epoch"], b"one line\n", "?offset=0")
        cls.users = {role: w.user(role) for role in ("viewer", "ci", "operator")} | {"owner": w.token}
        cls.ids = {"jobs": cls.lease["job"], "builds": w.get("/v1/builds")["items"][0]["id"], "deploys": cls.deploy,
                   "agents": cls.agents["globex"].id, "tokens": w.get("/v1/tokens")["items"][-1]["id"]}
        cls.document = w.call("GET", "/v1/openapi.json", token=None).json
        cls.routes = [(verb.upper(), path, about) for path, verbs in cls.document["paths"].items() for verb, about in verbs.items()]

    # What is sent

    def url(self, path, ids=None):
        ids = ids or self.ids
        path = path.replace("{app}", "shop").replace("{name}", "acme")
        return re.sub(r"/(\w+)/\{id\}", lambda found: f"/{found[1]}/{ids[found[1]]}", path)

    def resolve(self, schema):
        while "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        return schema

    def example(self, schema):
        """Something of the schema's shape: each member that must be there."""
        schema = self.resolve(schema)
        if "enum" in schema:
            return schema["enum"][0]
        if "pattern" in schema:
            prefix = schema["pattern"][1:4]
            return "sha256:" + "0" * 64 if prefix == "sha" else f"{prefix}_{ABSENT}"
        if schema.get("format") == "date-time":
            return "2026-01-01T00:00:00.000Z"
        if schema.get("type") == "object":
            return {name: self.example(schema["properties"][name]) for name in schema.get("required", ())}
        return {"string": "x", "integer": 1, "boolean": True, "array": []}.get(schema.get("type"), 1)

    def json_schema(self, about):
        return about.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")

    def good_body(self, about):
        schema = self.json_schema(about)
        return self.example(schema) if schema else None

    def bad_bodies(self, about):
        schema = self.resolve(self.json_schema(about))
        yield "no JSON", b'{"a": '
        yield "no UTF-8", b'{"a": "\xff\xfe"}'
        yield "two values", b"{} {}"
        yield "a value too deep", b"[" * 50_000
        yield "no object", b"[1]"
        yield "a string", b'"x"'
        if "properties" not in schema:
            return  # the app's own object: whatever is in it is right
        whole = self.example(schema)
        yield "an unknown member", {**whole, "no_such_member": 1}
        for name in whole:
            yield f"without {name}", {key: value for key, value in whole.items() if key != name}
        for name, of in schema["properties"].items():
            of = self.resolve(of)
            if "type" in of:
                yield f"{name} of a wrong type", {**whole, name: WRONG[of["type"]]}
            if "enum" in of:
                yield f"{name} of an unknown word", {**whole, name: "no_such_word"}
            if of.get("format") == "int32":
                yield f"{name} out of range", {**whole, name: 1 << 40}
            if of.get("type") == "integer":
                yield f"{name} with a fraction", {**whole, name: 1.5}
            if of.get("type") == "array" and "properties" in self.resolve(of["items"]):
                item = self.example(of["items"])
                yield f"an unknown member in {name}", {**whole, name: [{**item, "no_such_member": 1}]}
                yield f"an empty item in {name}", {**whole, name: [{}]}
            if of.get("type") == "object" and "properties" in of:
                yield f"an unknown member in {name}", {**whole, name: {**self.example(of), "no_such_member": 1}}

    def query(self, about):
        return "?offset=9" if any(p["name"] == "offset" and p.get("required") for p in about.get("parameters", ())) else ""

    def caller(self, access):
        return {"none": None, "agent": self.agents["acme"].access}.get(access, self.users["owner"])

    def raw(self, verb, target, token, body=None, headers=(), chunked=False):
        """One request on a connection of its own; all that comes back must be one response."""
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        lines = [f"{verb} {target} HTTP/1.1", "Host: here", "Connection: close", *headers]
        if token is not None:
            lines.append(f"Authorization: Bearer {token}")
        lines.append("Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(data)}")
        if chunked:
            data = b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data)
        parts = urllib.parse.urlsplit(self.world.url)
        with socket.create_connection((parts.hostname, parts.port), timeout=60) as peer:
            peer.sendall("\r\n".join([*lines, "", ""]).encode() + data)
            heard = b""
            while piece := peer.recv(1 << 16):
                heard += piece
        head, _, rest = heard.partition(b"\r\n\r\n")
        status, _, fields = head.decode().partition("\r\n")
        fields = email.parser.Parser().parsestr(fields)
        self.assertEqual(len(rest), int(fields["Content-Length"] or 0), "one response, whole, and nothing after it")
        return Answer(int(status.split()[1]), fields, rest)

    def refuse(self, status, code, verb, path, about, token, body="good", query=None, epoch=True, url=None, **options):
        headers = [f"Consign-Lease: {self.lease['epoch']}"] if epoch is True else [f"Consign-Lease: {epoch}"] if epoch is not None else []
        target = (url or self.url(path)) + (self.query(about) if query is None else query)
        answer = self.raw(verb, target, token, self.good_body(about) if body == "good" else body, headers, **options)
        self.problem(answer, status, code)
        self.count += 1
        return answer.json

    # What must not change

    def state(self):
        paths = ["/v1/apps", "/v1/builds", "/v1/apps/shop/releases", "/v1/installs", "/v1/deploys", f"/v1/deploys/{self.deploy}",
                 "/v1/jobs", f"/v1/jobs/{self.lease['job']}", "/v1/agents", "/v1/tokens", "/v1/audit", "/v1/events?after=0"]
        seen = {path: self.world.get(path) for path in paths}
        seen["log"] = self.world.call("GET", f"/v1/jobs/{self.lease['job']}/logs").body.decode()
        return re.sub(r'"(agent_)?last_seen": "[^"]*"', "", json.dumps(seen, sort_keys=True))

    def every_route(self):
        """Each route; after each, nothing has changed."""
        self.count = 0
        before = self.state()
        for verb, path, about in self.routes:
            with self.subTest(route=f"{verb} {path}"):
                yield verb, path, about
                self.assertEqual(self.state(), before, f"{verb} {path} changed something")

    # The table, a column each

    def test_no_good_token(self):
        agent = self.agents["acme"]
        ims = type("ImsKey", (Key,), {"__init__": lambda self, file: setattr(self, "file", file)})(self.world.dir / "ims" / "keys" / "token.pem")
        now = int(time.time())
        access = {"sub": agent.id, "iss": agent.ims, "aud": "consign", "iat": now - 7200, "exp": now + 60}
        self.assertEqual(self.world.call("POST", "/v1/agent/poll", {"session": agent.session, "slots": 0, "wait_s": 0,
                                                                    "running": [{"job": self.lease["job"], "epoch": self.lease["epoch"]}]},
                                         token=ims.jwt(access)).status, 204, "a token made like this is good, if its claims are")
        claims = b64url(json.dumps(access).encode())
        bad = {"none": None, "unknown": "cst_" + "x" * 43, "expired": self.expired, "nonsense": "x", "empty": "",
               "expired of an agent": ims.jwt({**access, "exp": now - 3600}), "for the registry": ims.jwt({**access, "aud": "registry"}),
               "of an unknown agent": ims.jwt({**access, "sub": f"agt_{ABSENT}"}), "signed by the agent": agent.key.jwt(access),
               "not signed": f"{b64url(json.dumps({'alg': 'none'}).encode())}.{claims}.",
               "an assertion": agent.key.jwt(agent.claims())}
        for verb, path, about in self.every_route():
            if about["x-access"] != "none":
                for why, token in bad.items():
                    with self.subTest(token=why):
                        self.refuse(401, "unauthenticated", verb, path, about, token)
        self.assertGreater(self.count, 300)

    def test_wrong_role(self):
        for verb, path, about in self.every_route():
            access = about["x-access"]
            if access == "agent":
                for role, token in self.users.items():
                    with self.subTest(role=role):
                        self.refuse(403, "permission_denied", verb, path, about, token)
            elif access != "none":
                for name, agent in self.agents.items():
                    with self.subTest(agent=name):
                        self.refuse(403, "permission_denied", verb, path, about, agent.access)
                for role, rank in RANK.items():
                    if rank < RANK[access]:
                        with self.subTest(role=role):
                            self.refuse(403, "permission_denied", verb, path, about, self.users[role])
        self.assertGreater(self.count, 120)

    def test_ids_of_others_and_of_nobody(self):
        for verb, path, about in self.every_route():
            access = about["x-access"]
            if "{id}" in path and access == "agent":
                for name in ("globex", "build"):
                    with self.subTest(agent=name):
                        self.refuse(404, "not_found", verb, path, about, self.agents[name].access)
            if "{id}" in path:
                kind = re.search(r"/(\w+)/\{id\}", path)[1]
                others = "dep" if PREFIX[kind] != "dep" else "job"
                for id in (f"{PREFIX[kind]}_{ABSENT}", f"{others}_{ABSENT}", "nonsense", "..", "%00", "%2e%2e%2f", "'%20OR%201=1--",
                           PREFIX[kind] + "_" + "z" * 5000):
                    with self.subTest(id=id):
                        self.refuse(404, "not_found", verb, path, about, self.caller(access), url=self.url(path, {kind: id}))
            elif "{" in path and (verb == "GET" or "releases" in path or "installs" in path):
                for name in ("nobody", "..", "%00", "'%20OR%201=1--", "x" * 5000):
                    url = re.sub(r"\{\w+\}", name, path)
                    with self.subTest(name=name):
                        body = self.good_body(about)
                        if body and "ttl_s" in self.resolve(self.json_schema(about))["properties"]:
                            body = {}
                        self.refuse(404, "not_found", verb, path, about, self.caller(access), body, url=url)
        self.assertGreater(self.count, 150)

    def test_bodies(self):
        for verb, path, about in self.every_route():
            if self.json_schema(about):
                for why, body in self.bad_bodies(about):
                    for chunked in (False, True):
                        with self.subTest(body=why, chunked=chunked):
                            detail = self.refuse(400, "invalid_argument", verb, path, about, self.caller(about["x-access"]), body,
                                                 chunked=chunked)["detail"]
                            name = re.search(r"^without (\w+)$", why) or re.search(r"^(\w+) (?:of|out of|with) ", why)
                            if name:
                                self.assertIn(name[1], detail, "it names the member")
                            if "unknown member" in why:
                                self.assertIn("no_such_member", detail)
        self.assertGreater(self.count, 250)

    def test_huge_bodies(self):
        for verb, path, about in self.every_route():
            if verb != "GET":
                for chunked in (False, True):
                    with self.subTest(chunked=chunked):
                        self.refuse(413, "too_large", verb, path, about, self.caller(about["x-access"]),
                                    b" " * (about["x-body-limit"] + 1), chunked=chunked)
        self.assertGreater(self.count, 40)

    def test_headers_and_queries(self):
        for verb, path, about in self.every_route():
            token = self.caller(about["x-access"])
            for parameter in about.get("parameters", ()):
                if parameter["name"] == "Consign-Lease":
                    for epoch in (None, "", "x", "1.5", "1 2", "99999999999999999999"):
                        with self.subTest(lease=epoch):
                            self.refuse(400, "invalid_argument", verb, path, about, token, epoch=epoch)
                    for epoch in (0, -1, self.lease["epoch"] + 1):
                        with self.subTest(lease=epoch):
                            self.refuse(409, "lease_lost", verb, path, about, token, epoch=epoch)
                elif parameter["in"] == "query" and parameter["schema"]["type"] == "integer":
                    for value in ("", "x", "1.5", "0x10", "99999999999999999999"):
                        with self.subTest(parameter=parameter["name"], value=value):
                            self.refuse(400, "invalid_argument", verb, path, about, token, query=f"?{parameter['name']}={value}")
        for path, status, code in (("/v1/jobs?state=no_such_state", 400, "invalid_argument"), ("/v1/jobs?install=nobody", 404, "not_found"),
                                   ("/v1/deploys?install=nobody", 404, "not_found"), ("/v1/builds?app=nobody", 404, "not_found"),
                                   ("/v1/jobs?deploy=nonsense", 400, "invalid_argument")):
            with self.subTest(path=path):
                self.problem(self.raw("GET", path, self.world.token), status, code)
        self.assertGreater(self.count, 60)

    def test_values_that_no_rule_of_json_forbids(self):
        """Right types, wrong meaning."""
        w, owner = self.world, self.world.token
        ref = {"repository": "shop/a/source", "digest": "sha256:" + "0" * 64}
        result = {"digest": "sha256:" + "0" * 64, "media_type": "x", "size": 1}
        record = {"app": "shop", "component": "a", "config_version": 1, "outcome": "failed"}
        session, acme = self.agents["acme"].session, self.agents["acme"].access
        table = [
            ("PUT", "/v1/apps/shop", {"toml": "app = "}, owner, 400),
            ("PUT", "/v1/apps/shop", {"toml": 'app = "other"'}, owner, 400),
            ("PUT", "/v1/apps/other", {"toml": (w.dir / "shop" / "consign.toml").read_text()}, owner, 400),
            ("POST", "/v1/apps/shop/releases", {"version": "1"}, owner, 409),
            ("POST", "/v1/apps/shop/releases", {"version": "../1"}, owner, 400),
            ("POST", "/v1/apps/shop/releases", {"version": "x" * 65}, owner, 400),
            ("POST", "/v1/builds", {"app": "nobody"}, owner, 404),
            ("POST", "/v1/builds", {"app": "shop", "components": ["nobody"]}, owner, 404),
            ("POST", "/v1/builds", {"app": "shop"}, owner, 400),
            ("POST", "/v1/builds", {"app": "shop", "sources": {"a": {**ref, "repository": "other/a/source"}}}, owner, 400),
            ("POST", "/v1/builds", {"app": "shop", "sources": {"a": ref}}, owner, 404),
            ("POST", "/v1/builds/record", {**record, "app": "nobody"}, owner, 404),
            ("POST", "/v1/builds/record", {**record, "component": "nobody"}, owner, 404),
            ("POST", "/v1/builds/record", {**record, "config_version": 0}, owner, 400),
            ("POST", "/v1/builds/record", {**record, "config_version": 99}, owner, 400),
            ("POST", "/v1/builds/record", {**record, "outcome": "succeeded"}, owner, 400),
            ("POST", "/v1/builds/record", {**record, "result": result}, owner, 404),
            ("POST", "/v1/builds/record", {**record, "outcome": "succeeded", "result": result}, owner, 404),
            ("POST", "/v1/builds/record", {**record, "app": "../../x", "result": result}, owner, None),
            ("POST", "/v1/installs", {"name": "acme", "app": "shop"}, owner, 409),
            ("POST", "/v1/installs", {"name": "A B", "app": "shop"}, owner, 400),
            ("POST", "/v1/installs", {"name": "new", "app": "nobody"}, owner, 404),
            ("POST", "/v1/installs", {"name": "new", "app": "shop", "inputs": {"no_such": 1}}, owner, 400),
            ("POST", "/v1/installs", {"name": "new", "app": "shop", "inputs": {"greeting": 7}}, owner, 400),
            ("PUT", "/v1/installs/acme/inputs", {"inputs": {"no_such": 1}}, owner, 400),
            ("POST", "/v1/installs/acme/enroll-token", {"ttl_s": 59}, owner, 400),
            ("POST", "/v1/agents/enroll-token", {"ttl_s": 604801}, owner, 400),
            ("POST", "/v1/deploys", {"install": "nobody"}, owner, 404),
            ("POST", "/v1/deploys", {"install": "acme", "release": "99"}, owner, 404),
            ("POST", "/v1/deploys", {"install": "acme", "component": "nobody"}, owner, 404),
            ("POST", "/v1/deploys", {"install": "acme", "kind": "teardown", "release": "1"}, owner, 400),
            ("POST", "/v1/deploys", {"install": "acme", "kind": "teardown", "component": "nobody"}, owner, 404),
            ("POST", "/v1/tokens", {"name": "", "role": "viewer"}, owner, 400),
            ("POST", "/v1/tokens", {"name": "x" * 65, "role": "viewer"}, owner, 400),
            ("POST", "/v1/tokens", {"name": "x", "role": "viewer", "ttl_days": 3651}, owner, 400),
            ("POST", "/v1/tokens", {"name": "x", "role": "viewer", "ttl_days": -1}, owner, 400),
            ("POST", f"/v1/jobs/{self.lease['job']}/retry", None, owner, 409),
            ("POST", "/v1/agents/enroll", {"token": "cet_x", "public_key": "x", "kind": "build", "version": "1", "hostname": "h"}, None, 401),
            ("POST", "/v1/agent/poll", {"session": session, "slots": -1}, acme, 400),
            ("POST", "/v1/agent/poll", {"session": session, "slots": 1025}, acme, 400),
            ("POST", "/v1/agent/poll", {"session": session, "slots": 0, "wait_s": -1}, acme, 400),
            ("POST", "/v1/token", b"grant_type=password", None, 400),
            ("POST", "/v1/token", b"", None, 400),
        ]
        before = self.state()
        for verb, path, body, token, status in table:
            with self.subTest(route=f"{verb} {path}", body=body):
                answer = self.raw(verb, path, token, body)
                self.problem(answer, status or answer.status, answer.code)
                self.assertIn(answer.status, range(400, 500))
        self.assertEqual(self.state(), before)
        # A token is not burned by an enrolment that is refused.
        token = w.api("POST", "/v1/installs/globex/enroll-token", {}).json["token"]
        before = self.state()
        for bad in ({"kind": "build"}, {"public_key": "x"}, {"public_key": ""}):
            body = {"token": token, "public_key": self.agents["acme"].key.public_pem(), "kind": "install", "version": "1", "hostname": "h"}
            with self.subTest(enrol=bad):
                self.problem(self.raw("POST", "/v1/agents/enroll", None, {**body, **bad}), 400, "invalid_argument")
        self.assertEqual(self.state(), before)

    def test_replayed_and_bent_assertions(self):
        agent, other = self.agents["build"], self.agents["globex"]
        once = agent.key.jwt(agent.claims())
        self.assertEqual(exchange(self.world, once).status, 200)
        before = self.state()
        now = int(time.time())
        bent = {"replayed": once, "replayed with another signature": agent.key.jwt(json.loads(unb64(once.split(".")[1]))),
                "expired": agent.key.jwt(agent.claims(exp=now - 3600)), "of tomorrow": agent.key.jwt(agent.claims(exp=now + 86400)),
                "not yet": agent.key.jwt(agent.claims(nbf=now + 3600)), "for another server": agent.key.jwt(agent.claims(aud="ims_other")),
                "by another key": other.key.jwt(agent.claims()), "for another agent": agent.key.jwt(agent.claims(iss=other.id)),
                "no jti": agent.key.jwt({k: v for k, v in agent.claims().items() if k != "jti"}),
                "no exp": agent.key.jwt({k: v for k, v in agent.claims().items() if k != "exp"}),
                "another algorithm": agent.key.jwt(agent.claims(), {"alg": "HS256"}), "no algorithm": agent.key.jwt(agent.claims(), {"alg": "none"}),
                "nothing": "", "nonsense": "a.b.c", "huge": "x" * 60_000}
        for why, assertion in bent.items():
            with self.subTest(assertion=why):
                self.problem(exchange(self.world, assertion), 401, "unauthenticated")
        self.assertEqual(self.state(), before)


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


if __name__ == "__main__":
    main()
