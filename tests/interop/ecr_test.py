"""ECR as vendor and as install registry, against STS and ECR in aws/fake_aws.mjs, which makes every signature again with
AWS's own JavaScript SDK, in front of Debian's docker-registry.

Needs node, npm and docker-registry; the SDK is installed below build/ from aws/package-lock.json."""
import base64
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import unittest

from integration.apps import component, publish, write_app
from integration.harness import Case, Process, eventually, free_port, main, request
from integration.raw_agent import RawAgent

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent / "aws"
ROLE = "arn:aws:iam::123456789012:role/consign-pull"
POD = "arn:aws:iam::123456789012:role/pod"
VENDOR, CUSTOMER = ("AKIDVENDOREXAMPLE", "vendor/secret+key"), ("AKIDCUSTOMEREXAMPLE", "customer/secret+key")
missing = [name for name in ("node", "npm", "docker-registry") if not shutil.which(name)]


def node_directory():
    """The scripts with their packages beside them, where node looks for them."""
    lock = (HERE / "package-lock.json").read_bytes()
    directory = ROOT / "build" / f"interop-aws-{hashlib.sha256(lock).hexdigest()[:12]}"
    if not (directory / "installed").exists():
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, directory)
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], cwd=directory,
                       check=True, capture_output=True, text=True, timeout=300)
        (directory / "installed").touch()
    for script in HERE.glob("*.mjs"):
        shutil.copy(script, directory)
    return directory


class Cloud:
    """One region of a fake AWS with a docker-registry behind it."""

    def __init__(self, world):
        self.world, self.node = world, node_directory()
        port = free_port()
        config = world.dir / "docker-registry.yml"
        config.write_text("version: 0.1\nlog: {level: warn, accesslog: {disabled: true}}\n"
                          f"storage: {{filesystem: {{rootdirectory: {world.dir}/data-plane}}, delete: {{enabled: true}}}}\n"
                          f"http: {{addr: '127.0.0.1:{port}'}}\n")
        self.start("docker-registry", "docker-registry", "serve", config)
        eventually(lambda: self.answers(port), "docker-registry answers")
        setup = {"upstream": f"127.0.0.1:{port}", "keys": dict([VENDOR, CUSTOMER]), "roles": {ROLE: "", POD: ""},
                 "web_identity": "a-pod's-token"}
        fake = self.start("fake-aws", "node", self.node / "fake_aws.mjs", json.dumps(setup))
        self.urls = json.loads(eventually(lambda: fake.out.read_text(), f"the fake AWS starts: {fake.text()}"))

    def start(self, name, *argv):
        process = Process(self.world.dir, name, list(map(str, argv)), env={"PATH": os.environ["PATH"]})
        process.expected = {0, -15, 2, 143}
        self.world.processes.append(process)
        return process

    @staticmethod
    def answers(port):
        try:
            return request(f"http://127.0.0.1:{port}/v2/").status == 200
        except OSError:
            return False

    def environment(self, identity=None):
        env = {"AWS_REGION": "eu-central-1", "AWS_ENDPOINT_URL_ECR": self.urls["api"],
               "AWS_ENDPOINT_URL_STS": self.urls["api"] + "/sts", "AWS_EC2_METADATA_DISABLED": "true"}
        if identity:
            env.update(AWS_ACCESS_KEY_ID=identity[0], AWS_SECRET_ACCESS_KEY=identity[1])
        return env

    def seen(self, **wanted):
        every = json.loads(request(self.urls["api"] + "/_seen").body)
        return [one for one in every if all(one.get(name) == value for name, value in wanted.items())]

    def registry(self, prefix):
        return f"ecr+{self.urls['registry']}/{prefix}"


def start_ims(world, cloud, *args, identity=VENDOR):
    """As World.ims, with AWS's environment."""
    process = world.start("ims", "ims", "--data", world.dir / "ims", "--listen", "127.0.0.1:0", *args,
                          env=cloud.environment(identity))
    world.url = process.wait_for(r"serving url=(\S+)")[1]
    world.token = (world.dir / "ims" / "owner.token").read_text().strip()
    return process


def start_agent(world, install, *args, env=None):
    enroll = world.api("POST", f"/v1/installs/{install}/enroll-token", {}).json["token"]
    process = world.start(install, "install-agent", "--ims", world.url, "--data", world.dir / install, "--registry-listen",
                          "127.0.0.1:0", *args, env={"CONSIGN_ENROLL": enroll, **(env or {})})
    process.wait_for("install agent ready")
    return process


@unittest.skipIf(missing, f"not installed: {', '.join(missing)}")
class AwsCase(Case):
    def deploy(self, install):
        deploy = self.world.await_deploy(self.world.deploy(install)["id"])
        self.assertEqual(deploy["state"], "succeeded", deploy)

    def create_install(self, name):
        self.world.api("POST", "/v1/installs", {"name": name, "app": "shop"})

    def said(self, install):
        """The words of the service that runs there."""
        return eventually(lambda: [p.read_text().strip() for p in (self.world.dir / install).glob("**/said")],
                          f"the service of {install} says something")


class TheFake(AwsCase):
    """What the other tests rely on: the check accepts AWS's client, and can fail."""

    def test_aws_own_client_is_accepted_and_a_wrong_key_is_not(self):
        cloud = Cloud(self.world)

        def client(secret, repository):
            done = subprocess.run(["node", cloud.node / "sdk_client.mjs", cloud.urls["api"], VENDOR[0], secret, repository],
                                  check=True, capture_output=True, text=True, timeout=60)
            return json.loads(done.stdout)

        self.assertEqual(client(VENDOR[1], "some/where"),
                         {"user": "AWS", "arn": "arn:aws:ecr:eu-central-1:123456789012:repository/some/where", "found": 1})
        self.assertEqual(client("wrong", "some/where/else"), {"error": "InvalidSignatureException"})


class Gateway(AwsCase):
    """The default: builds are pushed, and pulled, through the IMS."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cloud = Cloud(cls.world)
        start_ims(cls.world, cls.cloud, "--registry", cls.cloud.registry("vendor"), "--registry-scan-on-push")
        cls.release = publish(cls.world, cls.world.dir / "shop", "shop", "1", {"a": component()})

    def test_builds_make_their_repositories_on_demand(self):
        created = {one["created"]["repositoryName"]: one["created"] for one in self.cloud.seen(action="CreateRepository", status=200)}
        self.assertIn("vendor/shop/a", created)
        self.assertEqual(created["vendor/shop/a"]["imageTagMutability"], "MUTABLE")
        self.assertEqual(created["vendor/shop/a"]["imageScanningConfiguration"], {"scanOnPush": True})
        self.assertEqual(self.cloud.seen(service="ecr", refused="InvalidSignatureException"), [])
        # One login for everything.
        self.assertEqual(len(self.cloud.seen(action="GetAuthorizationToken")), 1)

    def test_install_pulls_with_a_one_time_token_of_the_ims(self):
        w = self.world
        self.create_install("acme")
        agent = start_agent(w, "acme")
        self.deploy("acme")
        self.assertEqual(self.said("acme"), ["hello"])
        self.assertNotIn(self.cloud.urls["registry"], agent.text())
        self.assertEqual({one["identity"] for one in self.cloud.seen(service="registry")}, {VENDOR[0]})
        self.assertTrue(self.cloud.seen(service="storage"))
        self.assertEqual(self.cloud.seen(service="storage", authorization=True), [])

    def test_the_pull_token_opens_its_artifact_and_nothing_else(self):
        w = self.world
        self.create_install("raw")
        agent = RawAgent(w, kind="install", install="raw")
        w.deploy("raw")
        lease = agent.lease()
        token = agent.write(lease["job"], "pull-token", lease["epoch"]).json
        artifact = self.release["components"][0]["artifact"]
        self.assertEqual((token["registry"], token["repository"], token["digest"]),
                         (w.url, artifact["repository"], artifact["digest"]))

        def redeem():
            basic = base64.b64encode(f"{token['username']}:{token['password']}".encode()).decode()
            return request(f"{w.url}/v2/token?service=consign", headers={"Authorization": f"Basic {basic}"})

        bearer = {"Authorization": f"Bearer {redeem().json['token']}"}
        self.assertEqual(redeem().status, 401)
        base = f"{w.url}/v2/shop/a"
        manifest = request(f"{base}/manifests/{artifact['digest']}", headers=bearer)
        self.assertEqual(manifest.status, 200)
        self.assertEqual("sha256:" + hashlib.sha256(manifest.body).hexdigest(), artifact["digest"])
        layer = manifest.json["layers"][0]
        blob = request(f"{base}/blobs/{layer['digest']}", headers=bearer)
        self.assertEqual("sha256:" + hashlib.sha256(blob.body).hexdigest(), layer["digest"])
        part = request(f"{base}/blobs/{layer['digest']}", headers={**bearer, "Range": "bytes=5-"})
        self.assertEqual((part.status, part.body), (206, blob.body[5:]))

        stranger = publish(w, w.dir / "shop", "shop", "2", {"a": component(files={"more": "more"})})
        other = stranger["components"][0]["artifact"]["digest"]
        self.assertNotEqual(other, artifact["digest"])
        self.assertEqual(request(f"{base}/manifests/{other}", headers=bearer).status, 404)
        self.assertEqual(request(f"{base}/tags/list", headers=bearer).status, 403)
        self.assertEqual(request(f"{base}/blobs/uploads/", "POST", b"", headers=bearer).status, 403)
        self.assertEqual(request(f"{w.url}/v2/shop/b/manifests/{artifact['digest']}", headers=bearer).status, 403)

    def test_a_repository_that_somebody_removed_is_made_again(self):
        w = self.world
        publish(w, w.dir / "gone", "gone", "1", {"a": component()})
        self.assertEqual(request(f"{self.cloud.urls['api']}/_remove/vendor/gone/a").body, b"true")
        publish(w, w.dir / "gone", "gone", "2", {"a": component(files={"more": "more"})})
        made = [one for one in self.cloud.seen(action="CreateRepository", status=200)
                if one["created"]["repositoryName"] == "vendor/gone/a"]
        self.assertEqual(len(made), 2)

    def test_a_build_agent_and_an_uploaded_source_need_no_credential_of_aws(self):
        w = self.world
        file = write_app(w.dir / "side", "side", {"a": component()})
        w.api("PUT", "/v1/apps/side", {"toml": file.read_text()})
        w.build_agent()
        w.consign("build", "side", "--source", w.dir / "side", "--wait")
        created = {one["created"]["repositoryName"] for one in self.cloud.seen(action="CreateRepository", status=200)}
        self.assertLessEqual({"vendor/side/a", "vendor/side/a/source"}, created)


class Direct(AwsCase):
    """Pulls go to ECR itself, with a session for one repository."""

    def test_logins_are_for_one_repository_and_fifteen_minutes(self):
        w = self.world
        cloud = Cloud(w)
        start_ims(w, cloud, "--registry", cloud.registry("vendor"), "--registry-mode", "direct", "--registry-pull-role", ROLE)
        publish(w, w.dir / "shop", "shop", "1", {"a": component()})
        self.create_install("acme")
        start_agent(w, "acme")
        self.deploy("acme")
        self.assertEqual(self.said("acme"), ["hello"])

        [session] = cloud.seen(action="AssumeRole")
        self.assertEqual((session["status"], session["identity"], session["duration"]), (200, VENDOR[0], 900))
        scoped = [s for s in session["policy"]["Statement"] if s["Resource"] != "*"]
        self.assertEqual([s["Resource"] for s in scoped], ["arn:aws:ecr:eu-central-1:123456789012:repository/vendor/shop/a"])
        self.assertEqual(sorted(scoped[0]["Action"]), ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage",
                                                       "ecr:GetDownloadUrlForLayer"])
        self.assertEqual([s["Action"] for s in session["policy"]["Statement"] if s["Resource"] == "*"],
                         ["ecr:GetAuthorizationToken"])
        pulls = [one for one in cloud.seen(service="registry") if one["identity"].startswith(ROLE)]
        self.assertTrue(pulls)
        self.assertEqual({one["method"] for one in pulls}, {"GET"})
        self.assertEqual(cloud.seen(service="storage", authorization=True), [])
        self.assertIn("pull_token.direct", {entry["action"] for entry in w.get("/v1/audit")["items"]})

        # The same login elsewhere.
        self.create_install("raw")
        agent = RawAgent(w, kind="install", install="raw")
        w.deploy("raw")
        lease = agent.lease()
        token = agent.write(lease["job"], "pull-token", lease["epoch"]).json
        self.assertEqual((token["registry"], token["repository"], token["username"]),
                         (cloud.urls["registry"] + "/vendor", "shop/a", "AWS"))
        basic = {"Authorization": "Basic " + base64.b64encode(f"AWS:{token['password']}".encode()).decode(),
                 "Accept": "application/vnd.oci.image.manifest.v1+json"}
        own = f"{cloud.urls['registry']}/v2/vendor/shop/a"
        self.assertEqual(request(f"{own}/manifests/{token['digest']}", headers=basic).status, 200)
        self.assertEqual(request(f"{own}/blobs/uploads/", "POST", b"", headers=basic).status, 403)
        publish(w, w.dir / "other", "other", "1", {"b": component()})
        self.assertEqual(request(f"{cloud.urls['registry']}/v2/vendor/other/b/tags/list", headers=basic).status, 403)

    def test_direct_without_a_role_or_without_ecr_is_refused_at_the_start(self):
        for args in (("ecr+http://127.0.0.1:1",), ("http://127.0.0.1:1",)):
            done = self.world.consign("ims", "--data", self.world.dir / "none", "--registry", *args, "--registry-mode", "direct",
                                      expect=1)
            self.assertIn("--registry-pull-role", done.stderr)


class InstallRegistry(AwsCase):
    """The install agent brings artifacts into ECR of the customer's account, as the role of its pod."""

    def test_artifacts_are_copied_there_and_run_from_there(self):
        w = self.world
        cloud = Cloud(w)
        w.ims()
        release = publish(w, w.dir / "shop", "shop", "1", {"a": component()})
        self.create_install("acme")
        (w.dir / "pod-token").write_text("a-pod's-token\n")
        env = cloud.environment()
        env.update(AWS_WEB_IDENTITY_TOKEN_FILE=str(w.dir / "pod-token"), AWS_ROLE_ARN=POD)
        agent = start_agent(w, "acme", "--registry", cloud.registry("customer"), env=env)
        agent.wait_for(r"registry is another one address=127\.0\.0\.1:\d+/customer")
        self.deploy("acme")
        self.assertEqual(self.said("acme"), ["hello"])
        self.assertFalse((w.dir / "acme" / "registry").exists())
        [created] = cloud.seen(action="CreateRepository", status=200)
        self.assertEqual(created["created"]["repositoryName"], "customer/shop/a")
        self.assertTrue(created["identity"].startswith(POD))
        put = [one for one in cloud.seen(service="registry", method="PUT") if "/manifests/" in one["path"]]
        self.assertIn(f"/v2/customer/shop/a/manifests/{release['version']}", {one["path"] for one in put})
        # A second deploy of the same release needs nothing from the vendor.
        self.deploy("acme")


class WrongKey(AwsCase):
    def test_a_wrong_signature_is_refused_and_said(self):
        w = self.world
        cloud = Cloud(w)
        ims = start_ims(w, cloud, "--registry", cloud.registry("vendor"), identity=(VENDOR[0], "wrong"))
        ims.wait_for("the vendor registry cannot be used now.*InvalidSignatureException")
        file = write_app(w.dir / "shop", "shop", {"a": component()})
        w.api("PUT", "/v1/apps/shop", {"toml": file.read_text()})
        answer = request(f"{w.url}/v2/token?service=consign&scope=repository:shop/a:pull,push",
                         headers={"Authorization": "Basic " + base64.b64encode(f"owner:{w.token}".encode()).decode()})
        bearer = {"Authorization": f"Bearer {answer.json['token']}"}
        refused = request(f"{w.url}/v2/shop/a/blobs/uploads/", "POST", b"", headers=bearer)
        self.assertEqual(refused.status, 503)
        self.assertIn("InvalidSignatureException", refused.json["errors"][0]["message"])
        self.assertEqual(cloud.seen(service="ecr", status=200), [])


if __name__ == "__main__":
    main()
