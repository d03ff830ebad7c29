"""Our client with Debian's docker-registry, skopeo, umoci, buildah and podman: every byte arrives, in both directions."""
import json
import os
import unittest

from integration.harness import Case, main
from interop.tools import DockerRegistry, Layout, certificate, digest, have, root_of, run, same_closure

BOTH_PLAIN = ("--src-plain-http", "--dest-plain-http")


class Copy(Case):
    """Plain HTTP, anonymous."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.dir = cls.world.dir
        cls.registry = DockerRegistry(cls.dir / "registry")
        cls.addClassCleanup(cls.registry.stop)
        cls.layout = Layout(cls.dir / "layout")
        make = cls.layout
        cls.images = {
            "many": make.tag(make.image([4096] * 60), "many"),
            "big": make.tag(make.image([10, 200 << 20]), "big"),
            "multi": make.tag(make.index([(make.image([3000], a), a) for a in ("amd64", "arm64", "s390x")]), "multi"),
            "docker": make.tag(make.image([5000, 5000], docker=True), "docker"),
        }

    def copy(self, source, target, *more):
        return self.world.json("registry", "copy", source, target, *BOTH_PLAIN, *more)

    def test_there_and_back(self):
        for name, root in self.images.items():
            with self.subTest(name):
                pushed = self.copy(f"oci:layout:{name}", f"{self.registry.host}/images/{name}:v1")
                self.assertEqual(pushed["digest"], root)
                again = self.copy(f"oci:layout:{name}", f"{self.registry.host}/images/{name}:v1")
                self.assertEqual(again["bytes_copied"], 0)
                pulled = self.copy(f"{self.registry.host}/images/{name}:v1", f"oci:back-{name}:v1")
                self.assertEqual(pulled["digest"], root)
                same_closure(self, self.layout, root, self.dir / f"back-{name}")

    def test_what_we_push_skopeo_pulls(self):
        for name, root in self.images.items():
            if name == "docker":
                continue  # a layout has no schema 2: skopeo would convert it
            with self.subTest(name):
                self.copy(f"oci:layout:{name}", f"{self.registry.host}/ours/{name}:v1")
                run("skopeo", "copy", "--all", "--preserve-digests", "--src-tls-verify=false",
                    f"docker://{self.registry.host}/ours/{name}:v1", f"oci:{self.dir}/skopeo-{name}:v1")
                self.assertEqual(root_of(self.dir / f"skopeo-{name}"), root)
                same_closure(self, self.layout, root, self.dir / f"skopeo-{name}")

    def test_what_skopeo_pushes_we_pull(self):
        for name in ("many", "multi"):
            with self.subTest(name):
                run("skopeo", "copy", "--all", "--preserve-digests", "--dest-tls-verify=false", f"oci:{self.dir}/layout:{name}",
                    f"docker://{self.registry.host}/theirs/{name}:v1")
                pulled = self.copy(f"{self.registry.host}/theirs/{name}:v1", f"oci:from-skopeo-{name}:v1")
                self.assertEqual(pulled["digest"], self.images[name])
                same_closure(self, self.layout, self.images[name], self.dir / f"from-skopeo-{name}")

    def test_archives_are_skopeos(self):
        root = self.images["many"]
        self.world.consign("registry", "export", "oci:layout:many", "ours.tar")
        run("skopeo", "copy", f"oci-archive:{self.dir}/ours.tar:many", f"oci:{self.dir}/unpacked:v1")
        same_closure(self, self.layout, root, self.dir / "unpacked")
        run("skopeo", "copy", f"oci:{self.dir}/layout:many", f"oci-archive:{self.dir}/theirs.tar:v1")
        imported = self.world.json("registry", "import", "theirs.tar", "oci:imported:v1")
        self.assertEqual(imported["digest"], root)
        same_closure(self, self.layout, root, self.dir / "imported")

    def test_one_platform_and_several(self):
        source = f"{self.registry.host}/platforms:v1"
        self.copy("oci:layout:multi", source)
        index = json.loads(self.layout.path(self.images["multi"]).read_bytes())
        by_name = {m["platform"]["architecture"]: m["digest"] for m in index["manifests"]}
        one = self.copy(source, f"{self.registry.host}/one:v1", "--platform", "linux/arm64")
        self.assertEqual(one["digest"], by_name["arm64"])
        two = self.copy(source, f"{self.registry.host}/two:v1", "--platform", "linux/amd64", "--platform", "linux/s390x")
        shown = self.world.json("registry", "inspect", f"http://{self.registry.host}/two:v1")["root"]
        self.assertEqual(shown["digest"], two["digest"])
        self.assertEqual([m["digest"] for m in shown["manifests"]], [by_name["amd64"], by_name["s390x"]])
        inspected = json.loads(run("skopeo", "inspect", "--tls-verify=false", f"docker://{self.registry.host}/one:v1"))
        self.assertEqual((inspected["Digest"], inspected["Architecture"]), (by_name["arm64"], "arm64"))

    def test_referrers_by_the_fallback_tag(self):
        made = Layout(self.dir / "signed")
        image = made.image([100])
        root = made.tag(image, "v1")
        signature = made.referrer(image)
        of_signature = made.referrer(signature, "application/vnd.test.timestamp")
        self.copy("oci:signed:v1", f"{self.registry.host}/signed:v1")
        shown = self.world.json("registry", "inspect", f"http://{self.registry.host}/signed:v1")["root"]
        self.assertEqual([r["digest"] for r in shown["referrers"]], [signature["digest"]])
        self.assertEqual(shown["referrers"][0]["artifact_type"], "application/vnd.test.signature")
        self.assertEqual([r["digest"] for r in shown["referrers"][0]["referrers"]], [of_signature["digest"]])
        self.copy(f"{self.registry.host}/signed:v1", "oci:signed-back:v1")
        for one in (root, signature["digest"], of_signature["digest"]):
            same_closure(self, made, one, self.dir / "signed-back")
        tags = self.world.json("registry", "tags", f"http://{self.registry.host}/signed")["items"]
        self.assertIn(root.replace(":", "-"), tags)
        self.copy(f"{self.registry.host}/signed:v1", "oci:unsigned:v1", "--no-referrers")
        self.assertFalse((self.dir / "unsigned" / "blobs" / "sha256" / signature["digest"][7:]).exists())

    def test_a_mount_between_repositories(self):
        self.copy("oci:layout:many", f"{self.registry.host}/from/here:v1")
        moved = self.copy(f"{self.registry.host}/from/here:v1", f"{self.registry.host}/to/there:v1")
        self.assertEqual(moved["bytes_copied"], 0)
        self.assertEqual(moved["digest"], self.images["many"])

    def test_tags_ls_and_rm(self):
        host = self.registry.host
        for tag in ("v1", "v2", "v10"):
            self.copy("oci:layout:docker", f"{host}/listed:{tag}")
        self.assertEqual(self.world.json("registry", "tags", f"http://{host}/listed")["items"], ["v1", "v10", "v2"])
        self.assertIn("listed", self.world.json("registry", "ls", f"http://{host}")["items"])
        self.world.consign("registry", "rm", f"http://{host}/listed@{self.images['docker']}")
        self.world.consign("registry", "inspect", f"http://{host}/listed:v1", expect=3)

    @unittest.skipUnless(have("umoci"), "umoci is not installed")
    def test_umoci_unpacks_our_layout(self):
        self.copy("oci:layout:many", f"{self.registry.host}/umoci:v1")
        self.copy(f"{self.registry.host}/umoci:v1", "oci:for-umoci:v1")
        listed = run("umoci", "ls", "--layout", self.dir / "for-umoci")
        self.assertEqual(listed.split(), ["v1"])
        run("umoci", "unpack", "--rootless", "--image", f"{self.dir}/for-umoci:v1", self.dir / "bundle")
        self.assertEqual(len(list((self.dir / "bundle" / "rootfs").iterdir())), 60)

    @unittest.skipUnless(have("umoci"), "umoci is not installed")
    def test_we_take_umocis_layout(self):
        layout = self.dir / "umoci"
        run("umoci", "init", "--layout", layout)
        run("umoci", "new", "--image", f"{layout}:fresh")
        run("umoci", "config", "--image", f"{layout}:fresh", "--config.env", "A=" + os.urandom(8).hex())
        pushed = self.copy(f"oci:{layout}:fresh", f"{self.registry.host}/from-umoci:v1")
        self.assertEqual(pushed["digest"], root_of(layout, "fresh"))

    @unittest.skipUnless(have("buildah"), "buildah is not installed")
    def test_buildah_and_our_client(self):
        context = self.dir / "context"
        context.mkdir()
        (context / "file").write_bytes(os.urandom(1000))
        (context / "Dockerfile").write_text("FROM scratch\nCOPY file /file\n")
        env = dict(os.environ, STORAGE_DRIVER="vfs", HOME=str(self.dir), XDG_RUNTIME_DIR=str(self.dir))
        storage = ("--root", self.dir / "storage", "--runroot", self.dir / "runroot")
        run("buildah", *storage, "bud", "--isolation", "chroot", "--format", "oci", "-t", "built", context, env=env)
        run("buildah", *storage, "push", "--tls-verify=false", "built", f"docker://{self.registry.host}/built:v1", env=env)
        pulled = self.copy(f"{self.registry.host}/built:v1", "oci:built:v1")
        pushed = self.copy("oci:built:v1", f"{self.registry.host}/ours/built:v1")
        self.assertEqual(pulled["digest"], pushed["digest"])
        (context / "Dockerfile").write_text(f"FROM {self.registry.host}/ours/built:v1\nCOPY file /another\n")
        run("buildah", *storage, "bud", "--isolation", "chroot", "--tls-verify=false", "--format", "oci", context, env=env)

    @unittest.skipUnless(have("podman"), "podman is not installed")
    def test_podman_pulls_what_we_pushed(self):
        self.copy("oci:layout:many", f"{self.registry.host}/for/podman:v1")
        env = dict(os.environ, STORAGE_DRIVER="vfs", HOME=str(self.dir), XDG_RUNTIME_DIR=str(self.dir))
        run("podman", "--root", self.dir / "podman", "--runroot", self.dir / "podman-run", "pull", "--tls-verify=false",
            f"{self.registry.host}/for/podman:v1", env=env)


class SecureCopy(Case):
    """TLS by a CA of our own, and a user with a password."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.dir = cls.world.dir
        cls.tls = certificate(cls.dir / "tls")
        cls.registry = DockerRegistry(cls.dir / "registry", tls=cls.tls, user="ci", password="se:cret")
        cls.addClassCleanup(cls.registry.stop)
        cls.layout = Layout(cls.dir / "layout")
        cls.root = cls.layout.tag(cls.layout.image([1000, 3 << 20]), "v1")

    def docker_config(self, name):
        directory = self.dir / name
        directory.mkdir(exist_ok=True)
        return {"DOCKER_CONFIG": str(directory)}

    def test_login_and_copy(self):
        w, host, env = self.world, self.registry.host, self.docker_config("config")
        ca = ("--registry-ca", self.tls[0])
        w.consign("registry", "login", host, "-u", "ci", "--password-stdin", *ca, input="wrong\n", env=env, expect=4)
        self.assertFalse((self.dir / "config" / "config.json").exists(), "a wrong credential is not kept")
        w.consign("registry", "login", host, "-u", "ci", "--password-stdin", *ca, input="se:cret\n", env=env)
        file = self.dir / "config" / "config.json"
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)
        self.assertEqual(w.json("registry", "copy", "oci:layout:v1", f"{host}/a:v1", "--dest-ca", self.tls[0], env=env)["digest"],
                         self.root)
        # skopeo reads what we wrote, and the other way round.
        run("skopeo", "copy", "--preserve-digests", "--src-cert-dir", self.tls[0].parent.as_posix() + "/none",
            f"docker://{host}/a:v1", f"oci:{self.dir}/x:v1", fails=True)
        certs = self.dir / "certs"
        certs.mkdir()
        (certs / "ca.crt").write_bytes(self.tls[0].read_bytes())
        run("skopeo", "copy", "--preserve-digests", "--src-cert-dir", certs, "--src-authfile", file, f"docker://{host}/a:v1",
            f"oci:{self.dir}/by-skopeo:v1")
        same_closure(self, self.layout, self.root, self.dir / "by-skopeo")
        theirs = self.dir / "auth.json"
        run("skopeo", "login", "--authfile", theirs, "--cert-dir", certs, "-u", "ci", "--password-stdin", host, input="se:cret")
        w.json("registry", "copy", f"{host}/a:v1", "oci:back:v1", "--src-ca", self.tls[0], env={"REGISTRY_AUTH_FILE": str(theirs)})
        same_closure(self, self.layout, self.root, self.dir / "back")

    def test_the_environment_and_helpers(self):
        w, host = self.world, self.registry.host
        ca = ("--registry-ca", self.tls[0])
        user = {"CONSIGN_REGISTRY_USERNAME": "ci", "CONSIGN_REGISTRY_PASSWORD": "se:cret"}
        w.consign("registry", "ls", host, *ca, env=user)
        w.consign("registry", "ls", host, *ca, env=dict(user, CONSIGN_REGISTRY_HOST="other.example"), expect=4)
        w.consign("registry", "ls", host, *ca, expect=4)
        helpers = self.dir / "helpers"
        helpers.mkdir()
        helper = helpers / "docker-credential-test"
        helper.write_text("#!/bin/sh\nread host\n[ \"$1 $host\" = \"get " + host + "\" ] || exit 1\n"
                          "echo '{\"Username\":\"ci\",\"Secret\":\"se:cret\"}'\n")
        helper.chmod(0o755)
        env = self.docker_config("helped")
        (self.dir / "helped" / "config.json").write_text(json.dumps({"credHelpers": {host: "test"}}))
        w.consign("registry", "ls", host, *ca, env=dict(env, PATH=f"{helpers}:{os.environ['PATH']}"))

    def test_a_certificate_nobody_vouches_for(self):
        said = self.world.consign("registry", "ls", self.registry.host, expect=6).stderr
        self.assertIn("certificate", said)

    def test_a_ca_where_podman_has_it(self):
        directory = self.dir / ".config" / "containers" / "certs.d" / self.registry.host
        directory.mkdir(parents=True)
        (directory / "ca.crt").write_bytes(self.tls[0].read_bytes())
        try:
            self.world.consign("registry", "ls", self.registry.host,
                               env={"CONSIGN_REGISTRY_USERNAME": "ci", "CONSIGN_REGISTRY_PASSWORD": "se:cret"})
        finally:
            (directory / "ca.crt").unlink()


class OurServer(Case):
    """Their clients and ours with the registry of the IMS."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.world.ims()
        cls.dir, cls.host = cls.world.dir, cls.world.url.removeprefix("http://")
        cls.layout = Layout(cls.dir / "layout")
        make = cls.layout
        image = make.image([200, 300])
        cls.images = {"many": make.tag(make.image([4096] * 60), "many"),
                      "big": make.tag(make.image([200 << 20]), "big"),
                      "multi": make.tag(make.index([(make.image([3000], a), a) for a in ("amd64", "arm64")]), "multi"),
                      "docker": make.tag(make.image([5000], docker=True), "docker"),
                      "signed": make.tag(image, "signed")}
        cls.signature = make.referrer(image)["digest"]

    def test_our_client(self):
        w = self.world
        for name, root in self.images.items():
            with self.subTest(name):
                self.assertEqual(w.json("registry", "copy", f"oci:layout:{name}", f"ims:ours/{name}:v1")["digest"], root)
                self.assertEqual(w.json("registry", "copy", f"{self.host}/ours/{name}:v1", f"oci:back-{name}:v1")["digest"], root)
                same_closure(self, self.layout, root, self.dir / f"back-{name}")
        same_closure(self, self.layout, self.signature, self.dir / "back-signed")
        self.assertIn("ours/many", w.json("registry", "ls")["items"])
        self.assertEqual(w.json("registry", "tags", "ims:ours/many")["items"], ["v1"])

    def test_skopeo_pushes_we_pull_and_the_other_way_round(self):
        w, creds = self.world, f"owner:{self.world.token}"
        for name in ("many", "multi", "big"):
            with self.subTest(name):
                run("skopeo", "copy", "--all", "--preserve-digests", "--dest-tls-verify=false", "--dest-creds", creds,
                    f"oci:{self.dir}/layout:{name}", f"docker://{self.host}/theirs/{name}:v1")
                self.assertEqual(w.json("registry", "copy", f"ims:theirs/{name}:v1", f"oci:mine-{name}:v1")["digest"],
                                 self.images[name])
                same_closure(self, self.layout, self.images[name], self.dir / f"mine-{name}")
                w.json("registry", "copy", f"oci:layout:{name}", f"ims:mine/{name}:v1")
                run("skopeo", "copy", "--all", "--preserve-digests", "--src-tls-verify=false", "--src-creds", creds,
                    f"docker://{self.host}/mine/{name}:v1", f"oci:{self.dir}/skopeo-{name}:v1")
                same_closure(self, self.layout, self.images[name], self.dir / f"skopeo-{name}")

    def test_between_their_registry_and_ours(self):
        registry = DockerRegistry(self.dir / "registry")
        self.addCleanup(registry.stop)
        w = self.world
        w.json("registry", "copy", "oci:layout:signed", f"{registry.host}/a:v1", "--dest-plain-http")
        w.json("registry", "copy", f"{registry.host}/a:v1", "ims:from/docker:v1", "--src-plain-http")
        shown = w.json("registry", "inspect", "ims:from/docker:v1")["root"]
        self.assertEqual([r["digest"] for r in shown["referrers"]], [self.signature])
        w.json("registry", "copy", "ims:from/docker:v1", f"{registry.host}/b:v1", "--dest-plain-http")
        shown = w.json("registry", "inspect", f"http://{registry.host}/b:v1")["root"]
        self.assertEqual([r["digest"] for r in shown["referrers"]], [self.signature])

    def test_login_for_everybody(self):
        env = {"DOCKER_CONFIG": str(self.dir / "docker")}
        self.world.consign("registry", "login", env=env)
        self.world.json("registry", "copy", "oci:layout:docker", "ims:login/image:v1")
        run("skopeo", "inspect", "--tls-verify=false", "--authfile", self.dir / "docker" / "config.json",
            f"docker://{self.host}/login/image:v1")
        self.world.consign("registry", "login", self.host, "-u", "x", "--password-stdin", input="wrong", env=env, expect=4)

    def test_schema_2_stays_what_it_is(self):
        w, creds = self.world, f"owner:{self.world.token}"
        w.json("registry", "copy", "oci:layout:docker", "ims:schema2:v1")
        run("skopeo", "copy", "--preserve-digests", "--src-tls-verify=false", "--src-creds", creds,
            f"docker://{self.host}/schema2:v1", f"dir:{self.dir}/schema2")
        self.assertEqual(digest((self.dir / "schema2" / "manifest.json").read_bytes()), self.images["docker"])
        run("skopeo", "copy", "--preserve-digests", "--dest-tls-verify=false", "--dest-creds", creds,
            f"dir:{self.dir}/schema2", f"docker://{self.host}/schema2:v2")
        self.assertEqual(w.json("registry", "copy", "ims:schema2:v2", "oci:schema2-back:v1")["digest"], self.images["docker"])
        same_closure(self, self.layout, self.images["docker"], self.dir / "schema2-back")

    @unittest.skipUnless(have("buildah") and have("podman"), "buildah or podman is not installed")
    def test_buildah_and_podman(self):
        w, creds = self.world, f"owner:{self.world.token}"
        w.json("registry", "copy", "oci:layout:many", "ims:for/podman:v1")
        env = dict(os.environ, STORAGE_DRIVER="vfs", HOME=str(self.dir), XDG_RUNTIME_DIR=str(self.dir))
        storage = ("--root", self.dir / "storage", "--runroot", self.dir / "runroot")
        name = f"{self.host}/for/podman:v1"
        run("podman", *storage, "pull", "--tls-verify=false", "--creds", creds, name, env=env)
        run("buildah", *storage, "push", "--tls-verify=false", "--creds", creds, name, f"docker://{self.host}/by/buildah:v1", env=env)
        shown = w.json("registry", "inspect", "ims:by/buildah:v1")["root"]
        self.assertEqual(len(shown["layers"]), 60)

    def test_rm(self):
        w = self.world
        w.json("registry", "copy", "oci:layout:docker", "ims:removed/image:v1")
        w.consign("registry", "rm", "ims:removed/image:v1")
        w.consign("registry", "inspect", "ims:removed/image:v1", expect=3)
        w.consign("registry", "rm", "ims:removed/image:v1", expect=3)


class OurSecureServer(Case):
    """The same over TLS."""

    def test_tls(self):
        w = self.world
        ca, certificate_file, key = certificate(w.dir / "tls")
        w.ca_file = ca
        w.ims("--tls-cert", certificate_file, "--tls-key", key)
        self.assertTrue(w.url.startswith("https://"))
        host, creds = w.url.removeprefix("https://"), f"owner:{w.token}"
        layout = Layout(w.dir / "layout")
        root = layout.tag(layout.image([100, 5 << 20]), "v1")
        certs = w.dir / "certs"
        certs.mkdir()
        (certs / "ca.crt").write_bytes(ca.read_bytes())
        self.assertEqual(w.json("registry", "copy", "oci:layout:v1", "ims:ours:v1")["digest"], root)
        run("skopeo", "copy", "--preserve-digests", "--src-cert-dir", certs, "--src-creds", creds, f"docker://{host}/ours:v1",
            f"oci:{w.dir}/skopeo:v1")
        same_closure(self, layout, root, w.dir / "skopeo")
        run("skopeo", "copy", "--preserve-digests", "--dest-cert-dir", certs, "--dest-creds", creds, f"oci:{w.dir}/layout:v1",
            f"docker://{host}/theirs:v1")
        self.assertEqual(w.json("registry", "copy", f"{host}/theirs:v1", "oci:back:v1")["digest"], root)
        same_closure(self, layout, root, w.dir / "back")
        stranger = {"CONSIGN_TOKEN": "", "CONSIGN_URL": "http://127.0.0.1:9", "CONSIGN_CA_FILE": ""}
        w.consign("registry", "inspect", f"{host}/ours:v1", "--registry-ca", ca, env=stranger, expect=4)
        w.consign("registry", "inspect", f"{host}/ours:v1", "--registry-ca", ca,
                  env=dict(stranger, CONSIGN_REGISTRY_USERNAME="anybody", CONSIGN_REGISTRY_PASSWORD=w.token))


if __name__ == "__main__":
    main()
