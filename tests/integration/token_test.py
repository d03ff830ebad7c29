"""The one-time pull token: one redemption, one closure, one job."""
import hashlib
import json
import subprocess

from integration.apps import component, publish
from integration.harness import Case, main
from integration.raw_agent import RawAgent
from integration.registry import basic, bearer


class PullTokens(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        w = cls.world
        w.ims()
        cls.host = w.url.removeprefix("http://")
        release = publish(w, w.dir / "shop", "shop", "1", {"a": component(), "b": component(files={"more": "b alone"})})
        cls.artifacts = {part["component"]: part["artifact"] for part in release["components"]}
        cls.owner = bearer(w, *(f"repository:{artifact['repository']}:*" for artifact in cls.artifacts.values()), "registry:catalog:*")

    @staticmethod
    def redeem_as(world, secret, user="pull"):
        return world.call("GET", "/v2/token?service=consign", token=None, headers=basic(secret, user))

    def redeem(self, token):
        return self.redeem_as(self.world, token["password"])

    def leased(self):
        """An agent with the running job that applies component a."""
        w = self.world
        name = f"i{len(w.get('/v1/installs')['items'])}"
        w.api("POST", "/v1/installs", {"name": name, "app": "shop"})
        agent = RawAgent(w, "install", name)
        w.deploy(name, component="a")
        lease = agent.lease()
        agent.write(lease["job"], "start", lease["epoch"])
        return agent, lease

    def pull_token(self, agent, lease):
        answer = agent.write(lease["job"], "pull-token", lease["epoch"])
        self.assertEqual(answer.status, 201, answer)
        return answer.json

    def read(self, path, bearer):
        return self.world.call("GET", f"/v2/{path}", token=bearer)

    def refusals(self, job):
        return [entry for entry in self.world.get("/v1/audit")["items"]
                if entry["action"] == "pull_token.refused" and entry["subject"] == job]

    def test_plain_skopeo_uses_it_once(self):
        w = self.world
        agent, lease = self.leased()
        token = self.pull_token(agent, lease)
        self.assertEqual((token["repository"], token["digest"], token["registry"]),
                         (self.artifacts["a"]["repository"], self.artifacts["a"]["digest"], w.url))

        def copy(to):
            source = f"docker://{self.host}/{token['repository']}@{token['digest']}"
            creds = f"{token['username']}:{token['password']}"
            command = ["skopeo", "copy", "--src-tls-verify=false", "--src-creds", creds, source, f"oci:{w.dir}/{to}:x"]
            return subprocess.run(command, capture_output=True, text=True, env=w.env())

        first = copy("first")
        self.assertEqual(first.returncode, 0, first.stderr)
        index = json.loads((w.dir / "first" / "index.json").read_text())
        self.assertEqual(index["manifests"][0]["digest"], token["digest"], "bit for bit")
        self.assertEqual(self.refusals(lease["job"]), [], "one copy needs one redemption")

        second = copy("second")
        self.assertNotEqual(second.returncode, 0)
        self.assertEqual(list((w.dir / "second").glob("blobs/sha256/*")), [])
        refused = self.redeem(token)
        self.assertEqual(refused.status, 401, refused)
        self.assertIn("Basic", refused.headers["WWW-Authenticate"])
        self.assertIn("used already", refused.json["errors"][0]["message"])
        seen = self.refusals(lease["job"])
        self.assertGreaterEqual(len(seen), 2, "skopeo's and ours")
        self.assertEqual({(e["detail"], e["actor"].split(":")[0]) for e in seen}, {("was used already", "127.0.0.1")})
        self.assertIn(lease["job"], w.consign("status").stdout)
        self.assertIn(lease["job"], {entry["subject"] for entry in w.json("status")["refused"]})
        kinds = [event["kind"] for event in w.json("events")["items"] if event.get("job") == lease["job"]]
        self.assertIn("pull_token.refused", kinds)

    def test_its_session_reads_one_closure_and_nothing_else(self):
        w = self.world
        agent, lease = self.leased()
        answer = self.redeem(self.pull_token(agent, lease))
        self.assertEqual(answer.status, 200, answer)
        bearer = answer.json["token"]
        mine, other = self.artifacts["a"], self.artifacts["b"]
        digest_of = lambda body: "sha256:" + hashlib.sha256(body).hexdigest()  # noqa: E731

        manifest = self.read(f"{mine['repository']}/manifests/{mine['digest']}", bearer)
        self.assertEqual((manifest.status, digest_of(manifest.body)), (200, mine["digest"]))
        parts = [manifest.json["config"], *manifest.json["layers"]]
        for part in parts:
            blob = self.read(f"{mine['repository']}/blobs/{part['digest']}", bearer)
            self.assertEqual((blob.status, digest_of(blob.body), len(blob.body)), (200, part["digest"], part["size"]))

        # Everything below exists, and the owner may read it.
        theirs = self.read(f"{other['repository']}/manifests/{other['digest']}", self.owner).json
        w.api("PUT", f"/v2/{mine['repository']}/manifests/newest", manifest.body, token=self.owner,
              headers={"Content-Type": manifest.headers["Content-Type"]})
        # A later artifact in the same repository, made of the same layer: in the repository, not in the closure.
        sibling = dict(manifest.json, annotations={"later": "yes"})
        sibling_body = json.dumps(sibling).encode()
        w.api("PUT", f"/v2/{mine['repository']}/manifests/{digest_of(sibling_body)}", sibling_body, token=self.owner,
              headers={"Content-Type": manifest.headers["Content-Type"]})
        their_layer = theirs["layers"][0]["digest"]
        closed = [f"{other['repository']}/manifests/{other['digest']}", f"{other['repository']}/blobs/{their_layer}",
                  f"{mine['repository']}/manifests/newest", f"{mine['repository']}/manifests/{digest_of(sibling_body)}",
                  f"{mine['repository']}/tags/list", "_catalog"]
        for path in closed:
            with self.subTest(path=path):
                self.assertEqual(self.read(path, self.owner).status, 200, "the owner may")
                self.assertIn(self.read(path, bearer).status, (401, 403, 404))
        self.assertEqual(self.read(f"{mine['repository']}/blobs/{their_layer}", bearer).status, 404)
        for verb, path in (("PUT", f"{mine['repository']}/manifests/x"), ("POST", f"{mine['repository']}/blobs/uploads/"),
                           ("POST", f"{mine['repository']}/blobs/uploads/?mount={their_layer}&from={other['repository']}"),
                           ("DELETE", f"{mine['repository']}/manifests/{mine['digest']}")):
            with self.subTest(verb=verb, path=path):
                self.assertIn(w.call(verb, f"/v2/{path}", b"{}", token=bearer).status, (401, 403))
        self.assertEqual(w.call("GET", "/v1/apps", token=bearer).status, 401, "and it is no API token")

    def test_it_dies_with_the_job(self):
        agent, lease = self.leased()
        unused, used = self.pull_token(agent, lease), self.pull_token(agent, lease)
        bearer = self.redeem(used).json["token"]
        path = f"{used['repository']}/manifests/{used['digest']}"
        self.assertEqual(self.read(path, bearer).status, 200)
        agent.write(lease["job"], "complete", lease["epoch"], {"outcome": "succeeded"})
        self.assertEqual(self.read(path, bearer).status, 401, "the session ends with the job")
        late = self.redeem(unused)
        self.assertEqual(late.status, 401)
        self.assertIn("has ended", late.json["errors"][0]["message"])
        self.problem(agent.write(lease["job"], "pull-token", lease["epoch"]), 409, "lease_lost")

    def test_a_lost_lease_takes_it_along(self):
        agent, lease = self.leased()
        bearer = self.redeem(self.pull_token(agent, lease)).json["token"]
        agent.poll(slots=0)  # lists nothing: the job is taken back
        path = f"{self.artifacts['a']['repository']}/manifests/{self.artifacts['a']['digest']}"
        self.assertEqual(self.read(path, bearer).status, 401)
        again = agent.lease()
        agent.write(again["job"], "start", again["epoch"])
        self.assertEqual(self.read(path, bearer).status, 401, "the next attempt does not revive it")
        fresh = self.redeem(self.pull_token(agent, again)).json["token"]
        self.assertEqual(self.read(path, fresh).status, 200)

    def test_what_is_no_pull_token(self):
        w = self.world
        agent, _ = self.leased()
        for secret in ("", "cpt_" + "x" * 43, "nonsense", agent.key.jwt(agent.claims())):
            with self.subTest(secret=secret[:12]):
                self.assertEqual(self.redeem_as(w, secret).status, 401)
        # An install agent's own token opens nothing in the registry, a build agent's reads and writes.
        path = f"{self.artifacts['a']['repository']}/manifests/{self.artifacts['a']['digest']}"
        weak = self.redeem_as(w, agent.access)
        self.assertTrue(weak.status == 401 or self.read(path, weak.json["token"]).status == 403)
        strong = bearer(w, f"repository:{self.artifacts['a']['repository']}:pull", secret=RawAgent(w, "build").access)
        self.assertEqual(self.read(path, strong).status, 200)
        self.assertEqual(self.read(path, agent.access).status, 401, "an API token is no registry token")


if __name__ == "__main__":
    main()
