"""The registries with a client that is not ours: skopeo."""
import gzip
import hashlib
import io
import json
import subprocess
import tarfile

from integration.apps import component, publish
from integration.harness import Case, main, request


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def make_layout(directory):
    """An OCI layout of one image with two layers, made by hand; returns the manifest's digest."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(data, media_type):
        (blobs / digest(data).removeprefix("sha256:")).write_bytes(data)
        return {"mediaType": media_type, "digest": digest(data), "size": len(data)}

    layers, diff_ids = [], []
    for name, content in (("small.txt", b"small\n"), ("large.bin", bytes(range(256)) * 20_000)):  # 5 MB: several reads
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        diff_ids.append(digest(buffer.getvalue()))
        # Compressed, because skopeo would do it on its way otherwise, and change the digest.
        layers.append(put(gzip.compress(buffer.getvalue(), mtime=0), "application/vnd.oci.image.layer.v1.tar+gzip"))
    config = {"architecture": "amd64", "os": "linux", "config": {"Env": ["A=b"]},
              "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    # Spaces and order as no program of ours would write them: the bytes must survive.
    manifest = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                           "config": put(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"),
                           "layers": layers}, indent=5).encode()
    entry = put(manifest, "application/vnd.oci.image.manifest.v1+json")
    entry["annotations"] = {"org.opencontainers.image.ref.name": "v1"}
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return entry["digest"]


class Skopeo(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        w = cls.world
        w.ims()
        cls.host = w.url.removeprefix("http://")
        cls.digest = make_layout(w.dir / "image")
        cls.skopeo("copy", "--dest-tls-verify=false", "--dest-creds", f"owner:{w.token}", f"oci:{w.dir}/image:v1",
                   f"docker://{cls.host}/mirror/image:v1")

    @classmethod
    def skopeo(cls, *args, fails=False):
        done = subprocess.run(["skopeo", *args], capture_output=True, text=True, env=cls.world.env())
        if (done.returncode != 0) != fails:
            raise AssertionError(f"skopeo {' '.join(args)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stderr if fails else done.stdout

    def test_push_and_pull_keep_every_byte(self):
        w = self.world
        for number, reference in enumerate((":v1", f"@{self.digest}")):
            self.skopeo("copy", "--src-tls-verify=false", "--src-creds", f"anybody:{w.token}",
                        f"docker://{self.host}/mirror/image{reference}", f"oci:{w.dir}/back{number}:v1")
            index = json.loads((w.dir / f"back{number}" / "index.json").read_text())
            self.assertEqual(index["manifests"][0]["digest"], self.digest)
            for blob in (w.dir / "image" / "blobs" / "sha256").iterdir():
                self.assertEqual((w.dir / f"back{number}" / "blobs" / "sha256" / blob.name).read_bytes(), blob.read_bytes())

    def test_inspect_and_tags(self):
        creds = ("--tls-verify=false", "--creds", f"ci:{self.world.user('viewer')}")
        shown = json.loads(self.skopeo("inspect", *creds, f"docker://{self.host}/mirror/image:v1"))
        self.assertEqual((shown["Digest"], shown["RepoTags"], len(shown["Layers"])), (self.digest, ["v1"], 2))
        raw = self.skopeo("inspect", "--raw", *creds, f"docker://{self.host}/mirror/image:v1")
        self.assertEqual(digest(raw.encode()), self.digest)
        tags = json.loads(self.skopeo("list-tags", *creds, f"docker://{self.host}/mirror/image"))
        self.assertEqual(tags["Tags"], ["v1"])

    def test_who_may_what(self):
        w = self.world
        target = f"docker://{self.host}/mirror/other:v1"
        source = f"oci:{w.dir}/image:v1"
        self.skopeo("copy", "--dest-tls-verify=false", source, target, fails=True)
        self.skopeo("copy", "--dest-tls-verify=false", "--dest-creds", "owner:wrong", source, target, fails=True)
        self.skopeo("copy", "--dest-tls-verify=false", "--dest-creds", f"v:{w.user('viewer')}", source, target, fails=True)
        self.skopeo("copy", "--dest-tls-verify=false", "--dest-creds", f"ci:{w.user('ci')}", source, target)
        self.skopeo("delete", "--tls-verify=false", "--creds", f"ci:{w.user('ci')}", target, fails=True)
        self.skopeo("delete", "--tls-verify=false", "--creds", f"owner:{w.token}", target)
        self.skopeo("inspect", "--tls-verify=false", "--creds", f"owner:{w.token}", target, fails=True)

    def test_a_stranger_gets_a_bearer_challenge(self):
        for path, scope in (("/v2/", None), ("/v2/mirror/image/manifests/v1", "repository:mirror/image:pull")):
            answer = request(self.world.url + path)
            self.assertEqual(answer.status, 401)
            challenge = answer.headers["WWW-Authenticate"]
            self.assertTrue(challenge.startswith(f'Bearer realm="{self.world.url}/v2/token"'), challenge)
            if scope:
                self.assertIn(f'scope="{scope}"', challenge)
            self.assertEqual(answer.json["errors"][0]["code"], "UNAUTHORIZED")


class InstallRegistry(Case):
    def test_readable_by_anyone_in_the_account_and_writable_by_nobody(self):
        w = self.world
        w.ims()
        release = publish(w, w.dir / "shop", "shop", "1", {"a": component()})
        artifact = release["components"][0]["artifact"]
        w.api("POST", "/v1/installs", {"name": "acme", "app": "shop"})
        agent = w.install_agent("acme")
        address = agent.wait_for(r"registry is served address=(\S+)")[1]
        self.assertEqual(w.await_deploy(w.deploy("acme")["id"])["state"], "succeeded")

        reference = f"docker://{address}/{artifact['repository']}@{artifact['digest']}"
        copied = subprocess.run(["skopeo", "copy", "--src-tls-verify=false", reference, f"oci:{w.dir}/copy:x"],
                                capture_output=True, text=True, env=w.env())
        self.assertEqual(copied.returncode, 0, copied.stderr)
        index = json.loads((w.dir / "copy" / "index.json").read_text())
        self.assertEqual(index["manifests"][0]["digest"], artifact["digest"], "synced bit for bit")

        manifest = request(f"http://{address}/v2/{artifact['repository']}/manifests/{artifact['digest']}")
        layer = manifest.json["layers"][0]["digest"]
        repository = f"http://{address}/v2/{artifact['repository']}"
        upload = digest(b"x")
        for verb, url in (("PUT", f"{repository}/manifests/mine"), ("PUT", f"{repository}/manifests/{artifact['digest']}"),
                          ("POST", f"{repository}/blobs/uploads/"), ("POST", f"{repository}/blobs/uploads/?digest={upload}"),
                          ("PATCH", f"{repository}/blobs/uploads/x"), ("PUT", f"{repository}/blobs/uploads/x?digest={upload}"),
                          ("DELETE", f"{repository}/blobs/uploads/x"), ("DELETE", f"{repository}/manifests/{artifact['digest']}"),
                          ("DELETE", f"{repository}/blobs/{layer}"), ("POST", f"http://{address}/v2/new/repo/blobs/uploads/")):
            for headers in ({}, {"Authorization": f"Bearer {w.token}"}):
                with self.subTest(verb=verb, url=url):
                    answer = request(url, verb, b"x", {"Content-Type": "application/vnd.oci.image.manifest.v1+json", **headers})
                    self.assertEqual((answer.status, answer.json["errors"][0]["code"]), (405, "UNSUPPORTED"))
        self.assertEqual(request(f"{repository}/blobs/{layer}").status, 200, "all is there still")
        self.assertEqual(request(f"http://{address}/v1/apps").status, 404, "and nothing else is served")


if __name__ == "__main__":
    main()
