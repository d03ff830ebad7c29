"""kill -9 of the IMS in the middle of pushes, deletes and garbage collection, again and again: every manifest that was
acknowledged still pulls whole, and scrub finds nothing. CONSIGN_CRASH_ROUNDS=200 for a long night; 20 otherwise."""
import http.client
import json
import os
import random
import threading

from integration.harness import Case, eventually, free_port, main
from integration.registry import OCI_IMAGE, bearer, digest

ROUNDS = int(os.environ.get("CONSIGN_CRASH_ROUNDS", "20"))
PUSHERS = 3
REPOSITORIES = ("crash/a", "crash/b")
# Few enough that pushes, mounts, deletes and collections meet on the same blobs all the time.
SHARED = [random.Random(number).randbytes(3000 + 70 * number) for number in range(12)]


class Down(Exception):
    """The server is gone, or was killed in between: what was asked for may have happened or not."""


class Crash(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.port = free_port()
        cls.acknowledged = {}  # (repository, tag) → digest, which must be there
        cls.lock = threading.Lock()

    def start(self):
        self.process = self.world.ims(listen=f"127.0.0.1:{self.port}")
        self.token = bearer(self.world, *(f"repository:{name}:pull,push,delete" for name in REPOSITORIES))

    def call(self, method, path, body=None, headers=None):
        try:
            answer = self.world.call(method, path, body, token=self.token, headers=headers, timeout_s=60)
        except (OSError, http.client.HTTPException) as error:
            raise Down from error
        if answer.status >= 500:
            raise AssertionError(f"{method} {path}: {answer!r}")
        return answer

    # What goes on at the same time, each in a thread until the server is down

    def push_blob(self, rng, repository, blob):
        name = digest(blob)
        if self.call("HEAD", f"/v2/{repository}/blobs/{name}").status == 200:
            return
        how = rng.random()
        if how < 0.3:
            other = next(one for one in REPOSITORIES if one != repository)
            if self.call("POST", f"/v2/{repository}/blobs/uploads/?mount={name}&from={other}").status == 201:
                return
        if how < 0.6:
            self.assertEqual(self.call("POST", f"/v2/{repository}/blobs/uploads/?digest={name}", blob).status, 201)
            return
        upload = self.call("POST", f"/v2/{repository}/blobs/uploads/").headers["Location"]
        half = len(blob) // 2
        self.assertEqual(self.call("PATCH", upload, blob[:half], {"Content-Range": f"0-{half - 1}"}).status, 202)
        self.assertEqual(self.call("PUT", f"{upload}?digest={name}", blob[half:]).status, 201)

    def push(self, rng, tag):
        repository = rng.choice(REPOSITORIES)
        size = 400_000 if rng.random() < 0.1 else rng.randrange(10, 20_000)
        blobs = [b"{}", rng.randbytes(size), *rng.sample(SHARED, 3)]
        describe = [{"mediaType": "application/octet-stream", "digest": digest(blob), "size": len(blob)} for blob in blobs]
        manifest = json.dumps({"schemaVersion": 2, "mediaType": OCI_IMAGE, "config": describe[0], "layers": describe[1:]}).encode()
        for attempt in range(100):
            for blob in blobs:
                self.push_blob(rng, repository, blob)
            answer = self.call("PUT", f"/v2/{repository}/manifests/{tag}", manifest, {"Content-Type": OCI_IMAGE})
            if answer.status == 201:
                with self.lock:
                    self.acknowledged[repository, tag] = digest(manifest)
                    self.count += 1
                return
            # Without a grace a collection may take what is not referred to yet. It says so, and is pushed again.
            self.assertEqual((answer.status, answer.json["errors"][0]["code"]), (404, "MANIFEST_BLOB_UNKNOWN"), answer)
        self.fail("a push that never gets through")

    def pusher(self, rng, prefix):
        number = 0
        while True:
            number += 1
            self.push(rng, f"{prefix}-{number}")

    def deleter(self, rng):
        while True:
            with self.lock:
                victim = rng.choice(sorted(self.acknowledged)) if len(self.acknowledged) > 40 else None
                name = self.acknowledged.pop(victim, None)  # from here on it may be there or not
            if name is None:
                self.call("GET", "/v2/")
                continue
            reference = name if rng.random() < 0.5 else victim[1]
            self.assertEqual(self.call("DELETE", f"/v2/{victim[0]}/manifests/{reference}").status, 202)

    def collector(self, rng):
        while True:
            try:
                answer = self.world.call("POST", "/v1/registry/gc?wait=50", {"grace_s": rng.choice((0, 0, 1))}, timeout_s=60)
            except (OSError, http.client.HTTPException) as error:
                raise Down from error
            self.assertEqual(answer.status, 200, answer)
            if answer.json["state"] != "done":
                self.assertIn("cancel", answer.json["error"] + "cancel" * self.killed)

    def run_until_killed(self, work, *args):
        try:
            work(*args)
        except Down as down:
            if not self.killed:
                self.faults.append(down.__cause__)
        except BaseException as error:
            self.faults.append(error)

    # What must be true afterwards

    def check(self, wanted):
        for (repository, tag), name in wanted:
            answer = self.call("GET", f"/v2/{repository}/manifests/{tag}")
            self.assertEqual((answer.status, digest(answer.body)), (200, name), f"{repository}:{tag}")
            manifest = answer.json
            for blob in (manifest["config"], *manifest["layers"]):
                got = self.call("GET", f"/v2/{repository}/blobs/{blob['digest']}")
                self.assertEqual((got.status, digest(got.body)), (200, blob["digest"]), f"{repository}:{tag}")

    def scrub(self):
        report = self.world.api("POST", "/v1/registry/scrub?wait=50", {"mib_per_s": 10_000}).json
        self.assertEqual((report["state"], report["damages"]), ("done", []), report)

    def test_nothing_that_was_acknowledged_is_lost(self):
        seed = random.randrange(1 << 30)
        print(f"seed {seed}")
        rng = random.Random(seed)
        self.start()
        for number in range(ROUNDS):
            with self.subTest(round=number, seed=seed):
                self.faults, self.count, self.killed = [], 0, False
                before = set(self.acknowledged)
                threads = [threading.Thread(target=self.run_until_killed, args=args) for args in (
                    *((self.pusher, random.Random(rng.random()), f"r{number}-{one}") for one in range(PUSHERS)),
                    (self.deleter, random.Random(rng.random())), (self.collector, random.Random(rng.random())))]
                for thread in threads:
                    thread.start()
                enough = rng.randrange(1, 25)
                eventually(lambda: self.count >= enough or self.faults, f"{enough} pushes", within_s=120)
                self.killed = True
                self.process.kill()
                for thread in threads:
                    thread.join()
                self.assertEqual(self.faults, [])
                self.start()
                new = [one for one in self.acknowledged.items() if one[0] not in before]
                old = [one for one in self.acknowledged.items() if one[0] in before]
                self.check(new + rng.sample(old, min(len(old), 10)))
                self.scrub()
        self.check(self.acknowledged.items())
        # What nobody refers to is gone, and what is left is what the manifests name.
        report = self.world.api("POST", "/v1/registry/gc?wait=50", {"grace_s": 0}).json
        self.assertEqual(report["state"], "done", report)
        self.check(self.acknowledged.items())
        self.scrub()
        usage = self.world.get("/v1/registry")
        self.assertGreaterEqual(sum(one["tags"] for one in usage["repositories"]), len(self.acknowledged))
        self.assertEqual(list((self.world.dir / "ims" / "registry" / "trash").iterdir()), [])
        on_disk = sum(path.stat().st_size for path in (self.world.dir / "ims" / "registry" / "blobs").rglob("*") if path.is_file())
        self.assertLessEqual(on_disk, usage["bytes"])


if __name__ == "__main__":
    main()
