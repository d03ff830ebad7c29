"""A full disk under a real IMS and under a real install agent: what cannot be stored is refused with one clear error,
everything else goes on, and space is all that is needed to recover. The disk is a tmpfs of a few MiB, which takes root."""
import base64
import os
import shutil
import subprocess
import unittest
import urllib.parse

from integration.apps import component, publish
from integration.harness import Case, eventually, main, request
from integration.raw_agent import RawAgent


class FullDisk(Case):
    @classmethod
    def mount(cls, directory, size):
        """A small disk at `directory` until the end of the class; skips the class where that is not permitted."""
        directory.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", directory], capture_output=True, text=True)
        if mounted.returncode != 0:
            raise unittest.SkipTest(f"needs a disk of its own, and this user may not mount one: {mounted.stderr.strip()}")

        def unmount():
            try:
                cls.world.stop()
            finally:
                subprocess.run(["umount", directory], check=True)

        cls.addClassCleanup(unmount)

    @staticmethod
    def fill(directory):
        """Leaves not a byte; the file that takes it all."""
        filler = directory / "filler"
        with open(filler, "ab", buffering=0) as file:
            try:
                while file.write(b"\0" * 4096) == 4096:
                    pass
            except OSError:
                pass
        return filler


class Ims(FullDisk):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        w = cls.world
        cls.disk = w.dir / "disk"
        cls.mount(cls.disk, "6m")
        # Published elsewhere: a registry keeps some of its disk free, and this one has less than that.
        server = w.ims(data="ims")
        publish(w, w.dir / "shop", "shop", "1", {"a": component()})
        server.terminate()
        server.wait()
        shutil.copytree(w.dir / "ims", cls.disk / "ims")
        cls.server = w.ims(data="disk/ims")
        w.api("POST", "/v1/installs", {"name": "acme", "app": "shop"})
        cls.agent = RawAgent(w, "install", "acme")
        w.deploy("acme")
        cls.lease = cls.agent.lease()
        cls.agent.write(cls.lease["job"], "start", cls.lease["epoch"])

    def names(self):
        return {install["name"] for install in self.world.get("/v1/installs")["items"]}

    def pull(self):
        """A manifest out of the registry, as docker would."""
        w = self.world
        basic = base64.b64encode(f"owner:{w.token}".encode()).decode()
        scope = urllib.parse.quote("repository:shop/a:pull")
        token = request(f"{w.url}/v2/token?service=consign&scope={scope}", headers={"Authorization": f"Basic {basic}"})
        digest = w.get("/v1/builds")["items"][0]["artifact"]["digest"]
        return request(f"{w.url}/v2/shop/a/manifests/{digest}", headers={
            "Authorization": f"Bearer {token.json['token']}", "Accept": "application/vnd.oci.image.manifest.v1+json"})

    def test_writes_are_refused_reads_go_on_and_space_is_all_it_needs(self):
        w, job, epoch = self.world, self.lease["job"], self.lease["epoch"]
        acknowledged, log = {"acme"}, b""
        filler = self.fill(self.disk)

        # What the databases have allocated already may still take some writes; each is kept or refused, nothing between.
        def make(number):
            answer = w.call("POST", "/v1/installs", {"name": f"x{number}", "app": "shop"})
            if answer.status == 201:
                acknowledged.add(f"x{number}")
            return answer

        for number in range(5000):
            refused = make(number)
            if refused.status != 201:
                break
        problem = self.problem(refused, 507, "storage_full")
        self.assertIn("full", problem["detail"])
        self.assertIn("space", problem["hint"])
        said = w.consign("install", "create", "by-hand", "--app", "shop", expect=1).stderr.strip().splitlines()
        self.assertLessEqual(len(said), 2, said)
        self.assertIn("full", said[0])

        for _ in range(5000):
            answer = self.agent.write(job, "logs", epoch, b"x" * 100_000, f"?offset={len(log)}")
            if answer.status >= 300:
                break
            log += b"x" * 100_000
        self.problem(answer, 507, "storage_full")
        self.problem(self.agent.write(job, "complete", epoch, {"outcome": "succeeded"}), 507, "storage_full")

        self.assertEqual(self.names(), acknowledged)
        self.assertEqual(w.call("GET", f"/v1/jobs/{job}/logs").body, log)
        self.assertEqual(w.call("GET", "/readyz").status, 200)
        self.assertEqual(w.call("GET", "/metrics", token=None).status, 200)
        self.assertEqual(self.pull().status, 200)
        self.assertEqual(w.job(job)["state"], "running")

        filler.unlink()
        self.assertEqual(make("after").status, 201)
        log += b"the end\n"
        self.assertEqual(self.agent.write(job, "logs", epoch, b"the end\n", f"?offset={len(log) - 8}").status, 200)
        self.assertEqual(self.agent.write(job, "complete", epoch, {"outcome": "succeeded"}).status, 200)

        self.server.kill()
        type(self).server = w.ims(data="disk/ims")
        self.assertEqual(self.names(), acknowledged)
        self.assertEqual(w.call("GET", f"/v1/jobs/{job}/logs").body, log)
        self.assertEqual(w.job(job)["state"], "succeeded")


class InstallAgent(FullDisk):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        w = cls.world
        w.ims()
        for version, files in (("1", {}), ("2", {"big": 6}), ("3", {})):
            parts = component(files={"version": version})
            tree = w.dir / "shop" / "a"
            for name, mib in files.items():
                tree.mkdir(parents=True, exist_ok=True)
                (tree / name).write_bytes(os.urandom(mib << 20))
            publish(w, w.dir / "shop", "shop", version, {"a": parts}, {"greeting": {"default": version}})
            shutil.rmtree(w.dir / "shop")
        w.api("POST", "/v1/installs", {"name": "acme", "app": "shop"})
        cls.disk = w.dir / "acme"
        cls.mount(cls.disk, "6m")
        cls.agent = w.install_agent("acme")
        cls.deploy(cls, "1")

    def deploy(self, release):
        return self.world.await_deploy(self.world.deploy("acme", release)["id"])

    def said(self):
        return (self.disk / "components" / "a" / "data" / "said").read_text().strip()

    def free(self):
        stats = os.statvfs(self.disk)
        return stats.f_bavail * stats.f_bsize

    def test_1_an_artifact_that_does_not_fit_fails_and_leaves_nothing(self):
        before = self.free()
        [service] = self.world.services("acme")
        deploy = self.deploy("2")
        self.assertEqual(deploy["state"], "failed")
        self.assertRegex(deploy["jobs"][0]["error"], r"full|space")
        self.assertEqual((self.world.services("acme"), self.said()), ([service], "1"), "what ran runs on")
        self.assertGreater(self.free(), before - (256 << 10), "no part of the artifact is left")

    def test_2_a_job_that_cannot_begin_waits_for_space(self):
        filler = self.fill(self.disk)
        deploy = self.world.deploy("acme", "3")
        self.agent.wait_for(r"a job did not start .*(full|[Ss]pace)")
        filler.unlink()
        self.assertEqual(self.world.await_deploy(deploy["id"])["state"], "succeeded")
        self.assertEqual(self.said(), "3")

    def test_3_with_space_the_same_release_goes_through_without_a_restart(self):
        subprocess.run(["mount", "-o", "remount,size=64m", self.disk], check=True)
        self.assertEqual(self.deploy("2")["state"], "succeeded")
        self.assertEqual(self.said(), "2")
        self.assertEqual(self.agent.popen.poll(), None)


if __name__ == "__main__":
    main()
