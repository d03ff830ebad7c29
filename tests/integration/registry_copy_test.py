"""`consign registry copy` that is killed in the middle goes on there, in both directions."""
import os

from integration.harness import Case, eventually, main
from integration.stalling_registry import StallingRegistry, digest

SIZE, STALL = 24 << 20, 16 << 20
PLAIN = ("--src-plain-http", "--dest-plain-http")


class Resume(Case):
    def setUp(self):
        self.registry = StallingRegistry()
        self.addCleanup(self.registry.close)
        self.layer = os.urandom(SIZE)

    def stall(self, *args):
        """Runs a copy until the registry stalls, and kills it."""
        self.registry.stall_at = STALL
        process = self.world.start("copy", "registry", "copy", *args, *PLAIN)
        self.assertTrue(self.registry.stalled.wait(30), "the copy comes to where it stalls")
        return process

    def finish(self, *args):
        self.registry.go_on.set()
        self.registry.log.clear()
        return self.world.json("registry", "copy", *args, *PLAIN)

    def read(self, name, target):
        wanted = self.registry.add_image("v1", [b"small", self.layer])
        source = f"{self.registry.host}/a:v1"
        process = self.stall(source, target)
        uploads = self.world.dir / name / ".uploads"
        # What was sent is on its way into the file: a crash must not come before the client has taken any of it.
        part = eventually(lambda: next((u for u in uploads.glob("*") if u.stat().st_size >= 8 << 20), None), "a part of it")
        process.kill()
        there = part.stat().st_size
        report = self.finish(source, target)
        self.assertEqual(report["digest"], wanted)
        (asked,) = self.registry.asked("GET", digest(self.layer))
        self.assertEqual(asked[2], f"bytes={there}-")
        eventually(lambda: asked[4] == SIZE - there, "the server has counted: only the rest was sent")
        self.assertGreaterEqual(report["bytes_skipped"], there)  # the small ones may have been on their way, too

    def test_reading_into_a_layout(self):
        self.read("layout", f"oci:{self.world.dir}/layout:v1")
        blob = self.world.dir / "layout" / "blobs" / "sha256" / digest(self.layer)[7:]
        self.assertEqual(blob.read_bytes(), self.layer)
        # Of small blobs nothing is remembered: what a kill leaves of them goes after a week.
        left = [u for u in (self.world.dir / "layout" / ".uploads").glob("*") if u.stat().st_size > 1 << 20]
        self.assertEqual(left, [])
        self.assertEqual(list((self.world.dir / ".local/state/consign/transfers").glob("*")), [])

    def test_a_damaged_part_is_fetched_again(self):
        wanted = self.registry.add_image("v1", [self.layer])
        source, target = f"{self.registry.host}/a:v1", f"oci:{self.world.dir}/damaged:v1"
        process = self.stall(source, target)
        uploads = self.world.dir / "damaged" / ".uploads"
        part = eventually(lambda: next((u for u in uploads.glob("*") if u.stat().st_size >= 8 << 20), None), "a part of it")
        process.kill()
        with open(part, "r+b") as file:
            file.seek(1000)
            file.write(b"damaged")
        self.assertEqual(self.finish(source, target)["digest"], wanted)
        blob = self.world.dir / "damaged" / "blobs" / "sha256" / digest(self.layer)[7:]
        self.assertEqual(blob.read_bytes(), self.layer)

    def test_writing_to_a_registry(self):
        source = StallingRegistry()
        self.addCleanup(source.close)
        wanted = source.add_image("v1", [b"small", self.layer])
        self.world.json("registry", "copy", f"{source.host}/a:v1", f"oci:{self.world.dir}/source:v1", *PLAIN)
        target = f"{self.registry.host}/a:v1"
        process = self.stall(f"oci:{self.world.dir}/source:v1", target)
        process.kill()
        self.registry.go_on.set()  # what is in the socket's buffers still comes
        self.assertTrue(self.registry.broken.wait(30), "the server sees that the client is gone")
        upload, there = max(((u, len(data)) for u, data in self.registry.uploads.items()), key=lambda one: one[1])
        self.assertGreaterEqual(there, STALL)
        report = self.finish(f"oci:{self.world.dir}/source:v1", target)
        self.assertEqual(report["digest"], wanted)
        self.assertEqual(self.registry.blobs[digest(self.layer)], self.layer)
        (patch,) = self.registry.asked("PATCH", upload)
        self.assertEqual(patch[3], f"{there}-{SIZE - 1}")
        self.assertEqual(patch[4], SIZE - there, "only the rest was sent")

    def test_a_session_that_is_gone(self):
        source = StallingRegistry()
        self.addCleanup(source.close)
        wanted = source.add_image("v1", [self.layer])
        self.world.json("registry", "copy", f"{source.host}/a:v1", f"oci:{self.world.dir}/gone:v1", *PLAIN)
        process = self.stall(f"oci:{self.world.dir}/gone:v1", f"{self.registry.host}/a:v1")
        process.kill()
        self.registry.go_on.set()
        self.assertTrue(self.registry.broken.wait(30), "the server sees that the client is gone")
        self.registry.uploads.clear()
        self.assertEqual(self.finish(f"oci:{self.world.dir}/gone:v1", f"{self.registry.host}/a:v1")["digest"], wanted)
        self.assertEqual(self.registry.blobs[digest(self.layer)], self.layer)


class Through(Case):
    """From a registry to the registry of an IMS: both ends go on."""

    def test_both_ends_go_on(self):
        w = self.world
        w.ims()
        source = StallingRegistry()
        self.addCleanup(source.close)
        layer = os.urandom(SIZE)
        wanted = source.add_image("v1", [layer])
        copy = ("registry", "copy", f"{source.host}/a:v1", "ims:through/here:v1", "--src-plain-http")
        source.stall_at = STALL
        process = w.start("copy", *copy)
        self.assertTrue(source.stalled.wait(30), "the copy comes to where it stalls")
        uploads = w.dir / "ims" / "registry" / "uploads"
        eventually(lambda: any(u.stat().st_size >= 8 << 20 for u in uploads.glob("*")), "the IMS has a part of it")
        process.kill()
        source.go_on.set()
        source.log.clear()
        report = w.json(*copy)
        self.assertEqual(report["digest"], wanted)
        asked = source.asked("GET", digest(layer))[-1]
        self.assertIsNotNone(asked[2], "only a part was asked for")
        there = int(asked[2].removeprefix("bytes=").removesuffix("-"))
        self.assertGreaterEqual(there, 8 << 20)
        eventually(lambda: asked[4] == SIZE - there, "the server has counted: only the rest was sent")
        w.json("registry", "copy", "ims:through/here:v1", f"oci:{w.dir}/back:v1")
        self.assertEqual((w.dir / "back" / "blobs" / "sha256" / digest(layer)[7:]).read_bytes(), layer)


class Commands(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.registry = StallingRegistry()
        cls.addClassCleanup(cls.registry.close)
        cls.digest = cls.registry.add_image("v1", [b"one", b"two" * 1000])
        cls.image = f"http://{cls.registry.host}/a:v1"

    def test_inspect(self):
        shown = self.world.json("registry", "inspect", self.image)
        self.assertEqual(shown["root"]["digest"], self.digest)
        self.assertEqual([layer["size"] for layer in shown["root"]["layers"]], [3, 3000])
        text = self.world.consign("registry", "inspect", self.image).stdout
        self.assertIn("└─ layer", text)
        self.assertIn(self.digest, text)

    def test_export_and_import(self):
        self.world.consign("registry", "export", self.image, "image.tar")
        first = (self.world.dir / "image.tar").read_bytes()
        self.world.consign("registry", "export", self.image, "image.tar")
        self.assertEqual((self.world.dir / "image.tar").read_bytes(), first)
        self.assertEqual(self.world.json("registry", "tags", "oci-archive:image.tar"), {"items": ["v1"]})
        report = self.world.json("registry", "import", "image.tar", "oci:back:v2")
        self.assertEqual(report["digest"], self.digest)
        self.assertEqual(self.world.json("registry", "tags", "oci:back"), {"items": ["v2"]})
        self.world.consign("registry", "rm", "oci:back:v2")
        self.assertEqual(self.world.json("registry", "tags", "oci:back"), {"items": []})

    def test_exit_codes(self):
        w = self.world
        w.consign("registry", "inspect", self.image.replace("v1", "v9"), expect=3)
        w.consign("registry", "inspect", "nonsense", expect=2)
        w.consign("registry", "copy", self.image, "oci:x@" + self.digest, expect=2)
        w.consign("registry", "copy", self.image, "oci:x", "--platform", "linux", expect=2)
        w.consign("registry", "copy", "oci:missing:v1", "oci:x:v1", expect=3)
        said = w.consign("registry", "inspect", self.image.removeprefix("http://"), expect=6).stderr
        self.assertIn("http", said, "it wants TLS, and says how to do without")
        w.consign("registry", "inspect", "http://127.0.0.1:9/a:v1", expect=6)


if __name__ == "__main__":
    main()
