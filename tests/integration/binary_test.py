"""What users download: one file that needs nothing beside it. Only for static builds (CONSIGN_STATIC=ON)."""
import os
import re
import shutil
import socket
import struct
import subprocess
import threading
import unittest

from integration.harness import BINARY, Case, eventually, main, request

CHROOT = shutil.which("chroot", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
STATIC = os.environ.get("CONSIGN_STATIC", "").upper() in ("ON", "1", "TRUE", "YES")


class NameServer:
    """Knows one name, as 127.0.0.1. The resolver asks port 53 only, so it has a loopback address of its own."""

    ADDRESS, NAME = "127.0.0.153", "ims.consign.test"

    def __enter__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((self.ADDRESS, 53))
        self.asked = []
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.socket.close()

    def serve(self):
        while True:
            try:
                query, client = self.socket.recvfrom(512)
            except OSError:
                return
            labels, at = [], 12
            while size := query[at]:
                labels.append(query[at + 1:at + 1 + size].decode())
                at += 1 + size
            kind = struct.unpack(">H", query[at + 1:at + 3])[0]
            self.asked.append(".".join(labels))
            known, has_address = self.asked[-1] == self.NAME, kind == 1
            flags = 0x8580 if known else 0x8583  # NXDOMAIN
            answer = struct.pack(">HHHIH4B", 0xC00C, 1, 1, 60, 4, 127, 0, 0, 1) if known and has_address else b""
            self.socket.sendto(query[:2] + struct.pack(">HHHHH", flags, 1, bool(answer), 0, 0) + query[12:at + 5] + answer, client)


@unittest.skipUnless(STATIC, "the binary is linked dynamically (CONSIGN_STATIC is not ON)")
class Binary(Case):
    def test_it_is_not_dynamic(self):
        done = subprocess.run(["ldd", BINARY], capture_output=True, text=True)
        self.assertIn("not a dynamic executable", done.stdout + done.stderr)

    def root(self, name, **files):
        """A directory with the binary and, in etc, the files."""
        root = self.world.dir / name
        (root / "etc").mkdir(parents=True)
        shutil.copy(BINARY, root / "consign")
        for file, text in files.items():
            (root / "etc" / file).write_text(text)
        return root

    def inside(self, root, *args):
        return subprocess.run([CHROOT, root, "/consign", *args], capture_output=True, text=True, timeout=60,
                              env={"CONSIGN_TOKEN": self.world.token})

    @unittest.skipUnless(os.geteuid() == 0, "chroot needs root")
    def test_it_resolves_names_in_an_empty_root(self):
        w = self.world
        w.ims()
        port = w.url.rpartition(":")[2]
        root = self.root("client", **{"resolv.conf": f"nameserver {NameServer.ADDRESS}\noptions timeout:2 attempts:2\n"})
        self.assertEqual(self.inside(root, "--version").returncode, 0)
        with NameServer() as names:
            done = self.inside(root, "--url", f"http://{names.NAME}:{port}", "status")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("registry", done.stdout)
            self.assertIn(names.NAME, names.asked)
            unknown = self.inside(root, "--url", f"http://nowhere.consign.test:{port}", "status")
            self.assertEqual(unknown.returncode, 6, unknown.stderr)
            self.assertIn("nowhere.consign.test", unknown.stderr)
        hosts = self.root("hosts", hosts="127.0.0.1 localhost\n")
        self.assertEqual(self.inside(hosts, "--url", f"http://localhost:{port}", "status").returncode, 0)

    @unittest.skipUnless(os.geteuid() == 0, "chroot needs root")
    def test_an_ims_serves_in_an_empty_root(self):
        root, log = self.root("server"), self.world.dir / "bare.log"
        with open(log, "wb") as stderr:
            server = subprocess.Popen([CHROOT, root, "/consign", "ims", "--data", "/data", "--listen", "127.0.0.1:0"],
                                      stdout=subprocess.DEVNULL, stderr=stderr, env={})
        try:
            url = eventually(lambda: re.search(r"serving url=(\S+)", log.read_text()), "it serves")[1]
            self.assertEqual(request(f"{url}/readyz").status, 200)
            self.assertEqual(os.stat(root / "data" / "owner.token").st_mode & 0o777, 0o600)
        finally:
            server.terminate()
            self.assertEqual(server.wait(30), 0)


if __name__ == "__main__":
    main()
