"""Artifacts that nobody should trust: an archive that wants to write elsewhere, bytes that changed on the vendor's disk."""
import hashlib
import io
import json
import os
import random
import struct
import tarfile

from integration.apps import component, publish
from integration.harness import Case, main
from integration.registry import bearer


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def zstd(data):
    """A zstd frame of raw blocks (RFC 8878 section 3.1.1): valid, not compressed."""
    out = struct.pack("<IBI", 0xFD2FB528, 0xA0, len(data))
    for at in range(0, len(data), 1 << 17):
        piece = data[at:at + (1 << 17)]
        last = at + len(piece) == len(data)
        out += struct.pack("<I", (len(piece) << 3) | last)[:3] + piece
    return out


def tar(*entries):
    """Of (name, type, link target or content)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, kind, what in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = kind, 0o755
            if kind == tarfile.REGTYPE:
                entry.size = len(what)
                archive.addfile(entry, io.BytesIO(what))
            else:
                entry.linkname = what
                archive.addfile(entry)
    return buffer.getvalue()


class Hostile(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        w = cls.world
        w.ims()
        cls.artifact = publish(w, w.dir / "shop", "shop", "good", {"a": component()})["components"][0]["artifact"]
        w.api("POST", "/v1/installs", {"name": "acme", "app": "shop"})
        w.install_agent("acme")
        assert w.await_deploy(w.deploy("acme", "good")["id"])["state"] == "succeeded"
        cls.bearer = bearer(w, f"repository:{cls.artifact['repository']}:*")

    def registry(self, method, path, body=None, expect=None, **headers):
        """A 2xx, or `expect`."""
        call = self.world.call if expect else self.world.api
        answer = call(method, f"/v2/{self.artifact['repository']}/{path}", body, token=self.bearer, headers=headers)
        self.assertIn(expect, (None, answer.status))
        return answer

    def released(self, version, layer):
        """A release whose artifact is the good one with another layer."""
        w = self.world
        good = self.registry("GET", f"manifests/{self.artifact['digest']}")
        self.registry("POST", f"blobs/uploads/?digest={digest(layer)}", layer)
        manifest = good.json
        manifest["layers"][0].update(digest=digest(layer), size=len(layer))
        body = json.dumps(manifest).encode()
        self.registry("PUT", f"manifests/{digest(body)}", body, **{"Content-Type": good.headers["Content-Type"]})
        w.api("POST", "/v1/builds/record", {
            "app": "shop", "component": "a", "config_version": w.get("/v1/apps/shop")["config_version"],
            "outcome": "succeeded",
            "result": {"digest": digest(body), "media_type": good.headers["Content-Type"], "size": len(layer)}})
        w.api("POST", "/v1/apps/shop/releases", {"version": version})

    def test_an_archive_cannot_write_outside(self):
        w, victim = self.world, self.world.dir / "victim"
        evil = b"owned\n"
        file, link, hard, device = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE
        archives = {
            "dots": tar(("../../../../../victim", file, evil)),
            "inner dots": tar(("x/../../../../../../victim", file, evil)),
            "absolute": tar((str(victim), file, evil)),
            "link out": tar(("out", link, "../../../../.."), ("out/victim", file, evil)),
            "absolute link": tar(("out", link, str(w.dir)), ("out/victim", file, evil)),
            "link over a directory": tar(("d/", tarfile.DIRTYPE, ""), ("d", link, str(w.dir)), ("d/victim", file, evil)),
            "hard link": tar(("passwd", hard, "/etc/passwd")),
            "device": tar(("null", device, "")),
        }
        before = w.services("acme")
        for number, (why, archive) in enumerate(archives.items()):
            with self.subTest(why=why):
                self.released(f"bad{number}", zstd(archive))
                deploy = w.await_deploy(w.deploy("acme", f"bad{number}")["id"])
                self.assertEqual(deploy["state"], "failed")
                self.assertFalse(victim.exists())
                self.assertRegex(deploy["error"], r"^a: .*(victim|out|passwd|null|'d')", "the entry is named")
        self.assertEqual(w.services("acme"), before, "and what runs runs on")
        self.assertEqual(w.get("/v1/installs/acme")["components"][0]["release"], "good")
        names = {path.name for path in (w.dir / "acme" / "components" / "a" / "releases").iterdir()}
        self.assertFalse({name for name in names if name.startswith("bad")}, "nothing half unpacked is left")

    def test_an_archive_cut_short_or_no_archive(self):
        w = self.world
        whole = zstd(tar(("serve", tarfile.REGTYPE, b"x" * 5000)))
        for number, layer in enumerate((whole[:-600], b"not zstd at all", zstd(b"not tar at all" * 100))):
            with self.subTest(number=number):
                self.released(f"cut{number}", layer)
                self.assertEqual(w.await_deploy(w.deploy("acme", f"cut{number}")["id"])["state"], "failed")

    @staticmethod
    def damage(registry, name, silently):
        """Other bytes of the same length; silently: with nothing to see from outside, as when a disk decays."""
        [blob] = [path for path in (registry / "blobs").rglob(name.removeprefix("sha256:")) if path.is_file()]
        before = blob.stat()
        blob.chmod(0o600)
        changed = bytearray(blob.read_bytes())
        changed[len(changed) // 2] ^= 1
        blob.write_bytes(changed)
        if silently:
            os.utime(blob, ns=(before.st_atime_ns, before.st_mtime_ns))

    def test_bytes_that_changed_on_the_vendors_disk(self):
        w = self.world
        registry = w.dir / "ims" / "registry"
        serve = b"#!/bin/sh\nexec sleep 1000\n"
        ballast = random.Random(1).randbytes(200_000)  # more than what the registry hashes each time that it is sent
        for silently in (False, True):
            with self.subTest(silently=silently):
                version = f"rotten{silently}"
                layer = zstd(tar(("serve", tarfile.REGTYPE, serve), ("check", tarfile.REGTYPE, b"#!/bin/sh\n"),
                                 (version, tarfile.REGTYPE, ballast)))
                self.released(version, layer)
                self.damage(registry, digest(layer), silently)
                deploy = w.await_deploy(w.deploy("acme", version)["id"])
                self.assertEqual(deploy["state"], "failed", "what arrived is not what the digest says")
                self.assertEqual(w.get("/v1/installs/acme")["components"][0]["release"], "good")
                self.assertEqual(len(w.services("acme")), 1)
                report = w.api("POST", "/v1/registry/scrub?wait=50", {"mib_per_s": 1000}).json
                self.assertEqual(report["state"], "done")
                [found] = report["damages"]
                self.assertEqual((found["kind"], found["what"], found["digest"]), ("blob", "damaged", digest(layer)))
                self.assertEqual([one["repository"] for one in found["referrers"]], [self.artifact["repository"]])
                self.assertEqual(self.registry("HEAD", f"blobs/{digest(layer)}", expect=404).status, 404)
                self.assertEqual(w.get("/v1/registry")["quarantined"], 1)
                self.assertIn(digest(layer), w.processes[0].text(), "the log names it")

                self.registry("POST", f"blobs/uploads/?digest={digest(layer)}", layer)
                self.assertEqual(w.await_deploy(w.deploy("acme", version)["id"])["state"], "succeeded")
                self.assertEqual(w.await_deploy(w.deploy("acme", "good")["id"])["state"], "succeeded")
                self.assertEqual(w.api("POST", "/v1/registry/scrub?wait=50", {}).json["damages"], [])

    def test_bytes_that_changed_on_the_installs_disk(self):
        w = self.world
        w.api("POST", "/v1/installs", {"name": "beta", "app": "shop"})
        w.install_agent("beta")
        layer = self.registry("GET", f"manifests/{self.artifact['digest']}").json["layers"][0]["digest"]
        self.assertEqual(w.await_deploy(w.deploy("beta", "good")["id"])["state"], "succeeded")
        for silently in (False, True):
            with self.subTest(silently=silently):
                self.assertEqual(w.await_deploy(w.deploy("beta", kind="teardown")["id"])["state"], "succeeded")
                self.damage(w.dir / "beta" / "registry", layer, silently)
                deploy = w.await_deploy(w.deploy("beta", "good")["id"])
                if silently:  # the copy looked good until it was read
                    self.assertEqual(deploy["state"], "failed", deploy)
                    deploy = w.await_deploy(w.deploy("beta", "good")["id"])
                self.assertEqual(deploy["state"], "succeeded", "it was fetched again")


if __name__ == "__main__":
    main()
