"""What users download: one file that needs nothing beside it. Only for static builds (CONSIGN_STATIC=ON)."""
import os
import re
import shutil
import subprocess
import unittest

from integration.harness import BINARY, Case, eventually, main, request

STATIC = os.environ.get("CONSIGN_STATIC", "").upper() in ("ON", "1", "TRUE", "YES")


@unittest.skipUnless(STATIC, "the binary is linked dynamically (CONSIGN_STATIC is not ON)")
class Binary(Case):
    def test_it_is_not_dynamic(self):
        done = subprocess.run(["ldd", BINARY], capture_output=True, text=True)
        self.assertIn("not a dynamic executable", done.stdout + done.stderr)
        headers = subprocess.run(["readelf", "-lW", BINARY], capture_output=True, text=True).stdout
        if headers:
            self.assertNotIn("INTERP", headers)

    @unittest.skipUnless(os.geteuid() == 0, "chroot needs root")
    def test_it_runs_and_resolves_names_in_an_empty_root(self):
        w = self.world
        w.ims()
        root = w.dir / "root"
        (root / "etc").mkdir(parents=True)
        shutil.copy(BINARY, root / "consign")
        shutil.copy("/etc/resolv.conf", root / "etc" / "resolv.conf")
        port = w.url.rpartition(":")[2]

        def inside(*args):
            return subprocess.run(["chroot", root, "/consign", *args], capture_output=True, text=True, timeout=60,
                                  env={"CONSIGN_TOKEN": w.token})

        self.assertEqual(inside("--version").returncode, 0)
        # Without /etc/hosts `localhost` is still the loopback (RFC 6761), or the name server knows it.
        (root / "etc" / "hosts").write_text("127.0.0.1 localhost ims.test\n")
        for name in ("localhost", "ims.test"):
            done = inside("--url", f"http://{name}:{port}", "status")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("registry", done.stdout)
        unknown = inside("--url", "http://nowhere.invalid:1", "status")
        self.assertEqual(unknown.returncode, 6, unknown.stderr)
        self.assertIn("nowhere.invalid", unknown.stderr)

    @unittest.skipUnless(os.geteuid() == 0, "chroot needs root")
    def test_an_ims_serves_in_an_empty_root(self):
        w = self.world
        root = w.dir / "bare"
        root.mkdir()
        shutil.copy(BINARY, root / "consign")
        log = open(w.dir / "bare.log", "wb")
        server = subprocess.Popen(["chroot", root, "/consign", "ims", "--data", "/data", "--listen", "127.0.0.1:0"],
                                  stdout=subprocess.DEVNULL, stderr=log, env={})
        try:
            url = eventually(lambda: re.search(r"serving url=(\S+)", (w.dir / "bare.log").read_text()), "it serves")[1]
            self.assertEqual(request(f"{url}/readyz").status, 200)
            self.assertEqual(os.stat(root / "data" / "owner.token").st_mode & 0o777, 0o600)
        finally:
            server.terminate()
            self.assertEqual(server.wait(30), 0)
            log.close()


if __name__ == "__main__":
    main()
