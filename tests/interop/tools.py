"""Other people's registries and clients, and the images that go through them."""
import hashlib
import io
import json
import os
import pathlib
import random
import shutil
import subprocess
import tarfile
import urllib.request

from integration.harness import eventually, free_port

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def run(*args, fails=False, env=None, input=None):
    """Runs another program; its output. AssertionError when it does not end as wanted."""
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True, env=env, input=input, timeout=300)
    if (done.returncode != 0) != fails:
        raise AssertionError(f"{' '.join(map(str, args))}: {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stderr if fails else done.stdout


class Layout:
    """An OCI layout made by hand, in a directory that no client has seen: skopeo keeps a cache of blobs by digest."""

    def __init__(self, directory):
        self.dir = pathlib.Path(directory)
        (self.dir / "blobs" / "sha256").mkdir(parents=True)
        (self.dir / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        self.entries = []
        self.save()

    def save(self):
        (self.dir / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": self.entries}))

    def path(self, name):
        return self.dir / "blobs" / "sha256" / name.removeprefix("sha256:")

    def put(self, data, media_type):
        self.path(digest(data)).write_bytes(data)
        return {"mediaType": media_type, "digest": digest(data), "size": len(data)}

    def layer(self, size, media_type=LAYER):
        """A gzip of a tar of one file that does not compress, so that nobody compresses it on its way."""
        import gzip

        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            entry = tarfile.TarInfo(f"file-{random.getrandbits(64):x}")
            entry.size = size
            tar.addfile(entry, io.BytesIO(os.urandom(min(size, 1 << 20)) * (size // (1 << 20)) + os.urandom(size % (1 << 20))
                                          if size >= 1 << 20 else os.urandom(size)))
        tarred = buffer.getvalue()
        return self.put(gzip.compress(tarred, compresslevel=0, mtime=0), media_type), digest(tarred)

    def image(self, sizes, architecture="amd64", docker=False, **more):
        """The descriptor of an image of layers of `sizes` bytes. Its JSON is as no program of ours would write it."""
        layers = [self.layer(size, DOCKER_LAYER if docker else LAYER) for size in sizes]
        config = self.put(json.dumps({"architecture": architecture, "os": "linux", "config": {"Env": ["A=b"]},
                                      "rootfs": {"type": "layers", "diff_ids": [diff for _, diff in layers]}}).encode(),
                          DOCKER_CONFIG if docker else CONFIG)
        kind = DOCKER_MANIFEST if docker else MANIFEST
        return self.put(json.dumps({"schemaVersion": 2, "mediaType": kind, "config": config,
                                    "layers": [layer for layer, _ in layers], **more}, indent=5).encode(), kind)

    def index(self, children):
        """Of (descriptor, architecture)."""
        entries = [dict(child, platform={"os": "linux", "architecture": architecture}) for child, architecture in children]
        return self.put(json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}, indent=7).encode(), INDEX)

    def referrer(self, subject, kind="application/vnd.test.signature"):
        empty = self.put(b"{}", "application/vnd.oci.empty.v1+json")
        content = self.put(os.urandom(100), "application/octet-stream")
        made = self.put(json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": kind, "config": empty,
                                    "layers": [content], "subject": subject}).encode(), MANIFEST)
        self.entries.append(dict(made, artifactType=kind))
        self.save()
        return made

    def tag(self, descriptor, tag):
        self.entries.append(dict(descriptor, annotations={"org.opencontainers.image.ref.name": tag}))
        self.save()
        return descriptor["digest"]

    def closure(self, root):
        """Digests of all that `root` needs."""
        out, todo = set(), [root]
        while todo:
            one = todo.pop()
            if one in out:
                continue
            out.add(one)
            data = self.path(one).read_bytes()
            if len(data) > 1 << 20 or not data.lstrip().startswith(b"{"):
                continue
            parsed = json.loads(data)
            for key in ("layers", "manifests"):
                todo += [d["digest"] for d in parsed.get(key, [])]
            if "digest" in (parsed.get("config") or {}):
                todo.append(parsed["config"]["digest"])
        return out


def same_closure(case, original, root, copy):
    """Every byte of `root` in the layout `original` is in the layout directory `copy`."""
    for one in original.closure(root):
        name = one.removeprefix("sha256:")
        case.assertEqual((pathlib.Path(copy) / "blobs" / "sha256" / name).read_bytes(), original.path(one).read_bytes(), one)


def root_of(layout, tag=None):
    entries = json.loads((pathlib.Path(layout) / "index.json").read_text())["manifests"]
    names = [e for e in entries if tag is None or e.get("annotations", {}).get("org.opencontainers.image.ref.name") == tag]
    return names[0]["digest"]


def certificate(directory):
    """A CA and a certificate for 127.0.0.1 by it: (CA, certificate, key)."""
    d = pathlib.Path(directory)
    d.mkdir(exist_ok=True)
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
        "/CN=test CA", "-keyout", d / "ca.key", "-out", d / "ca.crt", "-addext", "keyUsage=keyCertSign")
    run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=127.0.0.1",
        "-keyout", d / "server.key", "-out", d / "server.csr")
    (d / "ext").write_text("subjectAltName=IP:127.0.0.1\n")
    run("openssl", "x509", "-req", "-in", d / "server.csr", "-CA", d / "ca.crt", "-CAkey", d / "ca.key", "-CAcreateserial",
        "-days", "2", "-extfile", d / "ext", "-out", d / "server.crt")
    return d / "ca.crt", d / "server.crt", d / "server.key"


class DockerRegistry:
    """Debian's docker-registry on a scratch directory."""

    def __init__(self, directory, tls=None, user=None, password=None):
        self.dir = pathlib.Path(directory)
        self.dir.mkdir(parents=True)
        self.host = f"127.0.0.1:{free_port()}"
        http = {"addr": self.host, "secret": "for the tests"}
        config = {"version": 0.1, "log": {"level": "error"}, "http": http,
                  "storage": {"filesystem": {"rootdirectory": str(self.dir / "data")}, "delete": {"enabled": True}}}
        if tls:
            http["tls"] = {"certificate": str(tls[1]), "key": str(tls[2])}
        if user:
            self.htpasswd = self.dir / "htpasswd"
            self.htpasswd.write_text(run("htpasswd", "-Bbn", user, password))
            config["auth"] = {"htpasswd": {"realm": "test", "path": str(self.htpasswd)}}
        (self.dir / "config.yml").write_text(json.dumps(config))  # JSON is YAML
        self.log = open(self.dir / "log", "wb")
        self.popen = subprocess.Popen(["docker-registry", "serve", str(self.dir / "config.yml")], stdout=self.log,
                                      stderr=subprocess.STDOUT)
        import socket

        def up():
            if self.popen.poll() is not None:
                raise AssertionError("docker-registry ended:\n" + (self.dir / "log").read_text())
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", int(self.host.rpartition(":")[2]))) == 0

        eventually(up, "docker-registry answers")

    def stop(self):
        self.popen.terminate()
        self.popen.wait(10)
        self.log.close()


def have(program):
    return shutil.which(program) is not None
