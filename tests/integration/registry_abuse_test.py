"""Clients of the registry that break off, lie, dawdle or send nonsense: an error of the spec, nothing half-visible, and
neither files nor descriptors nor memory left behind."""
import json
import os
import pathlib
import socket
import sqlite3
import threading
import time
import urllib.parse

from integration.harness import Case, alive, eventually, main
from integration.registry import OCI_IMAGE, OCI_INDEX, bearer, digest

EMPTY = b"{}"
EMPTY_JSON = "application/vnd.oci.empty.v1+json"
OCTETS = "application/octet-stream"


def describe(content, media_type=OCTETS):
    return {"mediaType": media_type, "digest": digest(content), "size": len(content)}


def manifest(*layers, **more):
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_IMAGE, "config": describe(EMPTY, EMPTY_JSON),
                       "layers": list(layers), **more}).encode()


class Abuse(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.process = cls.world.ims()
        cls.where = urllib.parse.urlsplit(cls.world.url)
        cls.registry = cls.world.dir / "ims" / "registry"
        cls.repo = "abuse/x"
        cls.bearer = bearer(cls.world, f"repository:{cls.repo}:*", "repository:abuse/many:*", "registry:catalog:*")
        cls.push(EMPTY)

    @classmethod
    def push(cls, content):
        return cls.world.api("POST", f"/v2/{cls.repo}/blobs/uploads/?digest={digest(content)}", content, token=cls.bearer)

    def call(self, verb, path, body=None, **headers):
        return self.world.call(verb, path if path.startswith("/v2") else f"/v2/{self.repo}/{path}", body, token=self.bearer,
                               headers={name.replace("_", "-"): value for name, value in headers.items()})

    def code(self, answer, status, code):
        self.assertEqual((answer.status, answer.json["errors"][0]["code"]), (status, code), answer)

    def begin(self):
        answer = self.call("POST", "blobs/uploads/")
        self.assertEqual(answer.status, 202)
        return answer.headers["Location"]

    def raw(self, verb, path, *fields, body=b""):
        """A connection on which this much of a request was sent."""
        connection = socket.create_connection((self.where.hostname, self.where.port), 60)
        lines = [f"{verb} {path if path.startswith('/v2') else f'/v2/{self.repo}/{path}'} HTTP/1.1", f"Host: {self.where.netloc}",
                 f"Authorization: Bearer {self.bearer}", *fields]
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
        return connection

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def resident(self):
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS")) / 1024

    def uploads(self):
        return {entry.name for entry in (self.registry / "uploads").iterdir()} if (self.registry / "uploads").exists() else set()

    def blobs(self):
        return {entry.name for entry in (self.registry / "blobs").rglob("*") if entry.is_file()}

    def settles(self, descriptors):
        """What connections held is given back."""
        eventually(lambda: self.descriptors() <= descriptors, f"{self.descriptors()} descriptors go back to {descriptors}")


class Uploads(Abuse):
    def test_a_body_that_breaks_off_leaves_nothing(self):
        content = b"z" * 300_000
        before, fds, files = self.blobs(), self.descriptors(), self.uploads()
        for why, path in (("single POST", f"blobs/uploads/?digest={digest(content)}"), ("PUT", None)):
            for fields, body in ((("Content-Length: 300000",), content[:100_000]), (("Content-Length: 300000",), b""),
                                 (("Transfer-Encoding: chunked",), b"30000\r\n" + content[:0x1000]),
                                 (("Transfer-Encoding: chunked",), b"1000\r\n" + content[:0x1000] + b"\r\n"),
                                 (("Transfer-Encoding: chunked",), b"zz\r\nnonsense\r\n")):
                with self.subTest(why=why, fields=fields, sent=len(body)):
                    where = path or self.begin() + f"?digest={digest(content)}"
                    self.raw("POST" if path else "PUT", where, *fields, body=body).close()
        self.settles(fds)
        self.code(self.call("GET", f"blobs/{digest(content)}"), 404, "BLOB_UNKNOWN")
        self.assertEqual(self.blobs(), before)
        eventually(lambda: self.uploads() == files, "no upload's file is left")

    def test_a_chunk_that_breaks_off_can_be_gone_on_with(self):
        content = bytes(range(256)) * 4096
        upload = self.begin()
        self.raw("PATCH", upload, f"Content-Length: {len(content)}", body=content[:600_000]).close()

        def where():
            answer = self.call("GET", upload)
            self.assertEqual(answer.status, 204)
            return int(answer.headers["Range"].split("-")[1]) + 1

        def go_on():
            at = where()
            self.assertLessEqual(at, 600_000)
            done = self.call("PUT", f"{upload}?digest={digest(content)}", content[at:], Content_Range=f"{at}-{len(content) - 1}")
            self.assertIn(done.status, (201, 416), done)  # 416: more of the broken request had come meanwhile
            return done.status == 201

        eventually(lambda: where() > 1, "what came is there")
        eventually(go_on, "the rest is taken")
        self.assertEqual(self.call("GET", f"blobs/{digest(content)}").body, content)

    def test_wrong_digests_and_lengths(self):
        content, files = b"the truth" * 1000, self.uploads()
        for lie in (digest(b"a lie"), digest(content[:-1]), digest(content + b"x")):
            self.code(self.call("POST", f"blobs/uploads/?digest={lie}", content), 400, "DIGEST_INVALID")
            self.code(self.call("PUT", f"{self.begin()}?digest={lie}", content), 400, "DIGEST_INVALID")
            self.code(self.call("GET", f"blobs/{lie}"), 404, "BLOB_UNKNOWN")
        for span in ("0-8998", "0-9000", "1-9000"):
            upload = self.begin()
            self.code(self.call("PATCH", upload, content, Content_Range=span), 416, "BLOB_UPLOAD_INVALID")
            self.assertEqual(self.call("DELETE", upload).status, 204)
        self.code(self.call("GET", f"blobs/{digest(content)}"), 404, "BLOB_UNKNOWN")
        self.assertEqual(self.uploads(), files)

    def test_two_writers_of_one_upload(self):
        upload = self.begin()
        content = os.urandom(5 << 20)
        first = self.raw("PATCH", upload, f"Content-Length: {len(content)}", body=content[:4 << 20])
        file = self.registry / "uploads" / upload.rsplit("/", 1)[1]
        eventually(lambda: file.stat().st_size > 0, "the first is at it")
        for verb, query in (("PATCH", ""), ("PUT", f"?digest={digest(b'x')}"), ("DELETE", "")):
            self.code(self.call(verb, upload + query, b"x"), 409, "BLOB_UPLOAD_INVALID")
        first.sendall(content[4 << 20:])
        self.assertIn(b" 202 ", first.recv(4096))
        first.close()
        self.assertEqual(self.call("PUT", f"{upload}?digest={digest(content)}", b"").status, 201)

    def test_the_same_blob_from_many_at_once(self):
        content, files = os.urandom(200_000), self.uploads()
        answers = []
        pushers = [threading.Thread(target=lambda: answers.append(self.push(content).status)) for _ in range(16)]
        for pusher in pushers:
            pusher.start()
        for pusher in pushers:
            pusher.join()
        self.assertEqual(answers, [201] * 16)
        self.assertEqual(self.call("GET", f"blobs/{digest(content)}").body, content)
        self.assertEqual(self.uploads(), files)

    def test_two_hundred_half_open_uploads(self):
        before, memory = self.descriptors(), self.resident()
        halves, content = [], b"h" * 50_000
        for number in range(200):
            halves.append(self.raw("PATCH", self.begin(), "Content-Length: 100000", body=content))
        eventually(lambda: len(self.uploads()) >= 200, "all have begun")
        self.assertEqual(self.call("GET", f"blobs/{digest(EMPTY)}").body, EMPTY, "others are served meanwhile")
        self.assertEqual(self.push(b"pushed meanwhile").status, 201)
        grown = self.resident() - memory
        self.assertLess(grown, 200, f"MiB for 200 uploads under way, sanitizer included; are {grown:.0f}")
        for half in halves:
            half.close()
        self.settles(before + 4)
        self.assertTrue(alive(self.process.pid))
        for name in self.uploads():
            self.assertIn(self.call("DELETE", f"blobs/uploads/{name}").status, (204, 409))
        eventually(lambda: all(self.call("DELETE", f"blobs/uploads/{name}").status in (204, 404) for name in self.uploads()) and not self.uploads(),
                   "they can be given up")

    def test_slow_clients_hold_up_nobody(self):
        before = self.descriptors()
        slow = [socket.create_connection((self.where.hostname, self.where.port), 60) for _ in range(50)]
        for number, one in enumerate(slow):
            one.sendall(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX-Slow: " + b"a" * number)
        slow += [self.raw("PATCH", self.begin(), "Content-Length: 1000", body=b"x") for _ in range(20)]
        content = os.urandom(3_000_000)
        self.push(content)
        slow += [self.raw("GET", f"blobs/{digest(content)}") for _ in range(20)] # and never reads
        for _ in range(5):
            self.assertEqual(self.call("GET", f"blobs/{digest(EMPTY)}").body, EMPTY)
            self.push(os.urandom(1000))
        # The head has ten seconds; whoever is late is told, or just dropped, without anybody's help.
        deadline = time.monotonic() + 40
        for one in slow[:50]:
            one.settimeout(max(1, deadline - time.monotonic()))
            self.assertIn(one.recv(4096)[:12], (b"HTTP/1.1 408", b""))
        for one in slow:
            one.close()
        self.settles(before)


class Manifests(Abuse):
    def put(self, body, name=None, media_type=OCI_IMAGE):
        return self.call("PUT", f"manifests/{name or digest(body)}", body, Content_Type=media_type)

    def test_an_index_that_names_itself(self):
        subject = {"mediaType": OCI_INDEX, "digest": "sha256:" + "0" * 64, "size": 1}
        body = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "subject": subject}).encode()
        # Its own digest cannot stand in it; that it names itself by a tag's later meaning is a chain, not a circle.
        one = self.put(body, "loop", OCI_INDEX)
        self.assertEqual(one.status, 201, one)
        two = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [describe(body, OCI_INDEX)],
                          "subject": describe(body, OCI_INDEX)}).encode()
        self.assertEqual(self.put(two, "loop", OCI_INDEX).status, 201)
        three = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [describe(two, OCI_INDEX), describe(body, OCI_INDEX)],
                            "subject": describe(two, OCI_INDEX)}).encode()
        self.assertEqual(self.put(three, "loop", OCI_INDEX).status, 201)
        listed = self.call("GET", f"referrers/{digest(body)}").json["manifests"]
        self.assertEqual([entry["digest"] for entry in listed], [digest(two)])
        missing = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [subject]}).encode()
        self.code(self.put(missing, media_type=OCI_INDEX), 404, "MANIFEST_BLOB_UNKNOWN")

    def test_deep_nesting(self):
        child, kind = manifest(), OCI_IMAGE
        for depth in range(200):
            self.assertEqual(self.put(child, "deep", kind).status, 201)
            child, kind = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [describe(child, kind)],
                                      "annotations": {"depth": str(depth)}}).encode(), OCI_INDEX
        self.assertEqual(self.call("GET", "manifests/deep").status, 200)
        for deep in (b'{"schemaVersion":2,"annotations":' + b'{"a":' * 100_000 + b'1' + b'}' * 100_001, b"[" * 1_000_000):
            self.code(self.put(deep, "v1"), 400, "MANIFEST_INVALID")

    def test_a_manifest_that_names_one_blob_forty_thousand_times(self):
        body = manifest(*[describe(EMPTY, "a/b")] * 30_000)
        self.assertLess(len(body), 4 << 20)
        self.assertEqual(self.put(body, "wide").status, 201)
        self.code(self.put(manifest(*[describe(EMPTY, "a/b")] * 30_000, describe(b"missing")), "wide2"), 404, "MANIFEST_BLOB_UNKNOWN")

    def test_nothing_of_a_refused_manifest_is_seen(self):
        before = self.call("GET", "/v2/_catalog").json
        missing = manifest(describe(b"nobody has this"))
        for body, status in ((missing, 404), (b"{", 400), (manifest(describe(EMPTY) | {"size": 5}), 400), (b" " * ((4 << 20) + 1), 413)):
            self.assertEqual(self.put(body, "refused").status, status)
            self.assertEqual(self.call("GET", "manifests/refused").status, 404)
            self.assertEqual(self.call("GET", f"manifests/{digest(body)}").status, 404)
        self.assertEqual(self.call("GET", "/v2/_catalog").json, before)

    def test_a_huge_manifest_is_refused_before_it_is_sent(self):
        connection = self.raw("PUT", "manifests/huge", f"Content-Type: {OCI_IMAGE}", "Content-Length: 10000000000", "Expect: 100-continue")
        self.assertIn(b"413", connection.recv(4096).split(b"\r\n")[0])
        connection.close()

    def test_referrers_come_in_pages(self):
        subject = manifest(annotations={"the": "subject"})
        self.assertEqual(self.put(subject).status, 201)
        wanted = set()
        for number in range(5):
            body = manifest(subject=describe(subject, OCI_IMAGE), artifactType="a/even" if number % 2 == 0 else "a/odd",
                            annotations={"number": str(number), "pad": "x" * 900_000})
            self.assertEqual(self.put(body).headers["OCI-Subject"], digest(subject))
            wanted.add((digest(body), str(number)))

        def pages(path):
            while path:
                answer = self.call("GET", path)
                self.assertEqual((answer.status, answer.headers["Content-Type"]), (200, OCI_INDEX))
                self.assertLess(len(answer.body), 4 << 20, "no more than clients take for an index")
                yield [(entry["digest"], entry["annotations"]["number"]) for entry in answer.json["manifests"]], answer
                link = answer.headers["Link"]
                self.assertTrue(link is None or link.endswith('>; rel="next"'), link)
                path = link and link[1:link.index(">")]

        for query, count in (("", 3), ("?n=1", 5), ("?n=2", 3), ("?n=5", 3)):
            got = list(pages(f"referrers/{digest(subject)}{query}"))
            self.assertEqual(len(got), count, query)
            self.assertEqual({entry for page, _ in got for entry in page}, wanted)
            self.assertEqual(sum(len(page) for page, _ in got), 5, "none twice")
        odd = list(pages(f"referrers/{digest(subject)}?artifactType=a%2Fodd&n=1"))
        self.assertEqual(sorted(number for page, _ in odd for _, number in page), ["1", "3"])
        self.assertTrue(all(answer.headers["OCI-Filters-Applied"] == "artifactType" for _, answer in odd))
        none = self.call("GET", f"referrers/{digest(subject)}?n=0")
        self.assertEqual((none.json["manifests"], none.headers["Link"]), ([], None))
        self.code(self.call("GET", f"referrers/{digest(subject)}?n=x"), 400, "UNSUPPORTED")


class ManyTags(Abuse):
    """A hundred thousand tags: put there directly, as pushing them is not what is tested."""

    COUNT = 100_000

    def test_they_are_listed_in_pages_of_bounded_size(self):
        w = self.world
        self.assertEqual(w.call("POST", f"/v2/abuse/many/blobs/uploads/?digest={digest(EMPTY)}", EMPTY, token=self.bearer).status, 201)
        body = manifest()
        self.assertEqual(w.call("PUT", "/v2/abuse/many/manifests/v", body, token=self.bearer, headers={"Content-Type": OCI_IMAGE}).status, 201)
        self.process.terminate()
        self.process.wait()
        with sqlite3.connect(self.registry / "registry.db") as db:
            db.executemany("INSERT INTO tags (repository, tag, digest) VALUES ('abuse/many', ?, ?)",
                           ((f"t{number:06}", digest(body)) for number in range(self.COUNT)))
        db.close()
        type(self).process = w.ims()
        type(self).where = urllib.parse.urlsplit(w.url)
        path, seen, pages, memory = "/v2/abuse/many/tags/list", [], 0, self.resident()
        while path:
            answer = self.call("GET", path)
            self.assertEqual(answer.status, 200)
            seen += answer.json["tags"]
            pages += 1
            self.assertLessEqual(len(answer.json["tags"]), 1000)
            link = answer.headers["Link"]
            path = link and link[1:link.index(">")]
        self.assertEqual(seen, [f"t{number:06}" for number in range(self.COUNT)] + ["v"])
        self.assertEqual(pages, 101)
        self.assertLess(self.resident() - memory, 64)
        page = self.call("GET", "/v2/abuse/many/tags/list?n=5&last=t050000")
        self.assertEqual(page.json["tags"], [f"t{number:06}" for number in range(50_001, 50_006)])
        self.assertEqual(self.call("GET", "/v2/abuse/many/manifests/t099999").body, body)
        gone = self.call("DELETE", f"/v2/abuse/many/manifests/{digest(body)}")
        self.assertEqual(gone.status, 202, "with all its tags")
        self.assertEqual(self.call("GET", "/v2/abuse/many/tags/list").json["tags"], [])


if __name__ == "__main__":
    main()
