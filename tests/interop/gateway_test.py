"""A vendor registry that is Debian's docker-registry, behind the IMS: TLS by a CA of its own, a password from docker's
config.json. skopeo, our client and the agents see only the IMS."""
import base64
import json
import unittest

from integration.apps import component, publish
from integration.harness import Case, eventually, main, request
from interop.tools import DockerRegistry, Layout, certificate, have, root_of, run, same_closure

missing = [name for name in ("docker-registry", "htpasswd", "skopeo") if not have(name)]


@unittest.skipIf(missing, f"not installed: {', '.join(missing)}")
class Gateway(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        w = cls.world
        cls.tls = certificate(w.dir / "tls")
        cls.registry = DockerRegistry(w.dir / "upstream", tls=cls.tls, user="ims", password="secret")
        cls.addClassCleanup(cls.registry.stop)
        login = base64.b64encode(b"ims:secret").decode()
        (w.dir / "docker").mkdir()
        (w.dir / "docker" / "config.json").write_text(json.dumps({"auths": {cls.registry.host: {"auth": login}}}))
        process = w.start("ims", "ims", "--data", w.dir / "ims", "--listen", "127.0.0.1:0", "--registry",
                          f"https://{cls.registry.host}/vendor/apps", "--registry-ca", cls.tls[0],
                          env={"DOCKER_CONFIG": str(w.dir / "docker")})
        w.url = process.wait_for(r"serving url=(\S+)")[1]
        w.token = (w.dir / "ims" / "owner.token").read_text().strip()
        cls.host = w.url.removeprefix("http://")
        cls.layout = Layout(w.dir / "layout")
        make = cls.layout
        cls.images = {"many": make.tag(make.image([4096] * 30), "many"), "big": make.tag(make.image([10, 60 << 20]), "big"),
                      "multi": make.tag(make.index([(make.image([3000], a), a) for a in ("amd64", "arm64")]), "multi")}

    def upstream(self, path, method="GET"):
        """What is really there, with its own password."""
        login = base64.b64encode(b"ims:secret").decode()
        return request(f"https://{self.registry.host}/v2/vendor/apps/{path}", method, ca_file=self.tls[0],
                       headers={"Authorization": f"Basic {login}", "Accept": "application/vnd.oci.image.manifest.v1+json, "
                                "application/vnd.oci.image.index.v1+json"})

    def test_skopeo_pushes_and_pulls_through_the_ims(self):
        w = self.world
        for name, root in self.images.items():
            with self.subTest(name):
                run("skopeo", "copy", "--all", "--preserve-digests", "--dest-tls-verify=false", "--dest-creds", f"owner:{w.token}",
                    f"oci:{w.dir}/layout:{name}", f"docker://{self.host}/by-skopeo/{name}:v1")
                there = self.upstream(f"by-skopeo/{name}/manifests/v1")
                self.assertEqual((there.status, there.headers["Docker-Content-Digest"]), (200, root))
                run("skopeo", "copy", "--all", "--preserve-digests", "--src-tls-verify=false", "--src-creds",
                    f"viewer:{w.user('viewer')}", f"docker://{self.host}/by-skopeo/{name}:v1", f"oci:{w.dir}/back-{name}:v1")
                self.assertEqual(root_of(w.dir / f"back-{name}"), root)
                same_closure(self, self.layout, root, w.dir / f"back-{name}")

    def test_our_client_pushes_and_pulls_through_the_ims(self):
        w = self.world
        env = {"CONSIGN_REGISTRY_HOST": self.host, "CONSIGN_REGISTRY_USERNAME": "owner", "CONSIGN_REGISTRY_PASSWORD": w.token}
        for name, root in self.images.items():
            with self.subTest(name):
                pushed = w.json("registry", "copy", f"oci:layout:{name}", f"{self.host}/ours/{name}:v1", "--dest-plain-http", env=env)
                self.assertEqual(pushed["digest"], root)
                again = w.json("registry", "copy", f"oci:layout:{name}", f"{self.host}/ours/{name}:v1", "--dest-plain-http", env=env)
                self.assertEqual(again["bytes_copied"], 0)
                w.json("registry", "copy", f"{self.host}/ours/{name}:v1", f"oci:ours-{name}:v1", "--src-plain-http", env=env)
                same_closure(self, self.layout, root, w.dir / f"ours-{name}")

    def test_who_may_what_is_decided_by_the_ims(self):
        w = self.world
        source = f"oci:{w.dir}/layout:many"
        for creds in ("owner:wrong", "ims:secret", f"v:{w.user('viewer')}"):
            run("skopeo", "copy", "--dest-tls-verify=false", "--dest-creds", creds, source,
                f"docker://{self.host}/denied/x:v1", fails=True)
        self.assertEqual(self.upstream("denied/x/tags/list").status, 404)

    def test_releases_are_deployed_from_there(self):
        w = self.world
        release = publish(w, w.dir / "shop", "shop", "1", {"a": component()})
        artifact = release["components"][0]["artifact"]
        self.assertEqual(self.upstream(f"shop/a/manifests/{artifact['digest']}").status, 200)
        w.api("POST", "/v1/installs", {"name": "acme", "app": "shop"})
        w.install_agent("acme")
        self.assertEqual(w.await_deploy(w.deploy("acme")["id"])["state"], "succeeded")
        said = eventually(lambda: [p.read_text().strip() for p in (w.dir / "acme").glob("**/said")], "the service says something")
        self.assertEqual(said, ["hello"])

    def test_an_artifact_that_was_not_pushed_cannot_be_recorded(self):
        w = self.world
        publish(w, w.dir / "side", "side", "1", {"a": component()})
        body = {"app": "side", "component": "a", "config_version": 1, "outcome": "succeeded",
                "result": {"digest": "sha256:" + "0" * 64, "media_type": "application/vnd.oci.image.manifest.v1+json", "size": 1}}
        answer = w.call("POST", "/v1/builds/record", body)
        self.assertEqual(answer.status, 404, answer)
        self.assertIn("is not in the vendor registry", answer.json["detail"])


@unittest.skipIf(missing, f"not installed: {', '.join(missing)}")
class InstallRegistry(Case):
    """The install registry is a docker-registry with a password."""

    def test_the_agent_keeps_its_artifacts_there(self):
        w = self.world
        registry = DockerRegistry(w.dir / "customer", user="agent", password="secret")
        self.addCleanup(registry.stop)
        w.ims()
        release = publish(w, w.dir / "shop", "shop", "1", {"a": component()})
        w.api("POST", "/v1/installs", {"name": "acme", "app": "shop"})
        enroll = w.api("POST", "/v1/installs/acme/enroll-token", {}).json["token"]
        env = {"CONSIGN_REGISTRY_HOST": registry.host, "CONSIGN_REGISTRY_USERNAME": "agent", "CONSIGN_REGISTRY_PASSWORD": "secret"}
        agent = w.start("acme", "install-agent", "--ims", w.url, "--data", w.dir / "acme", "--registry", f"http://{registry.host}/acme",
                        env={"CONSIGN_ENROLL": enroll, **env})
        agent.wait_for("install agent ready")
        self.assertEqual(w.await_deploy(w.deploy("acme")["id"])["state"], "succeeded")
        login = base64.b64encode(b"agent:secret").decode()
        there = request(f"http://{registry.host}/v2/acme/shop/a/manifests/{release['version']}",
                        headers={"Authorization": f"Basic {login}", "Accept": "application/vnd.oci.image.manifest.v1+json"})
        self.assertEqual(there.headers["Docker-Content-Digest"], release["components"][0]["artifact"]["digest"])

        # What runs comes up without the registry; what is new does not get in, and says why.
        registry.popen.kill()
        agent.terminate()
        agent.wait()
        again = w.start("acme", "install-agent", "--data", w.dir / "acme", "--registry", f"http://{registry.host}/acme", env=env)
        again.wait_for("install agent ready")
        publish(w, w.dir / "shop", "shop", "2", {"a": component(files={"new": "new"}, max_attempts=1)})
        deploy = w.await_deploy(w.deploy("acme")["id"])
        self.assertEqual(deploy["state"], "failed")
        self.assertIn(registry.host, json.dumps([w.job(job["id"]) for job in deploy["jobs"]]))


if __name__ == "__main__":
    main()
