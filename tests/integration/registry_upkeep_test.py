"""What operators ask of the embedded registry: usage, garbage collection, scrub, quotas, immutable tags."""
import json
import socket

from integration.apps import component, publish
from integration.harness import Case, eventually, main
from integration.registry import OCI_IMAGE, bearer, digest

UPKEEP = ("/v1/registry", "/v1/registry/gc", "/v1/registry/scrub", "/v1/registry/settings")


class Upkeep(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        w = cls.world
        w.ims("--registry-quota-mib", "64", "--registry-repository-quota-mib", "2")
        cls.token_of_registry = bearer(w, *(f"repository:{name}:pull,push,delete" for name in ("shop/a", "other/x", "quota/x", "tags/x")))

    def registry(self, method, path, body=None, **headers):
        return self.world.call(method, f"/v2/{path}", body, token=self.token_of_registry, headers=headers)

    def push(self, repository, tag, *blobs):
        described = []
        for blob in (b"{}", *blobs):
            self.assertEqual(self.registry("POST", f"{repository}/blobs/uploads/?digest={digest(blob)}", blob).status, 201)
            described.append({"mediaType": "application/octet-stream", "digest": digest(blob), "size": len(blob)})
        manifest = json.dumps({"schemaVersion": 2, "mediaType": OCI_IMAGE, "config": described[0], "layers": described[1:]}).encode()
        return self.registry("PUT", f"{repository}/manifests/{tag}", manifest, **{"Content-Type": OCI_IMAGE}), digest(manifest)

    def gc(self, **request):
        report = self.world.api("POST", "/v1/registry/gc?wait=50", request).json
        self.assertEqual(report["state"], "done", report)
        return report

    def test_what_the_ims_needs_stays_without_a_tag(self):
        w = self.world
        release = publish(w, w.dir / "shop", "shop", "1.0", {"a": component()})
        artifact = release["components"][0]["artifact"]
        tags = self.registry("GET", f"{artifact['repository']}/tags/list").json["tags"]
        for tag in tags:
            self.assertEqual(self.registry("DELETE", f"{artifact['repository']}/manifests/{tag}").status, 202)
        put, other = self.push("other/x", "1", b"not needed")
        self.assertEqual(put.status, 201)
        self.assertEqual(self.registry("DELETE", "other/x/manifests/1").status, 202)
        self.assertEqual(self.gc()["manifests_removed"], 0, "a day of grace unless told otherwise")

        preview = self.gc(dry_run=True, grace_s=0)
        ours = {other, digest(b"{}"), digest(b"not needed")}
        items = {(item["kind"], item["repository"], item["digest"]) for item in preview["items"] if item["digest"] in ours}
        self.assertEqual(items, {("manifest", "other/x", other), ("link", "other/x", digest(b"{}")),
                                 ("link", "other/x", digest(b"not needed")), ("file", "", digest(b"not needed")),
                                 *({item for item in items if item[::2] == ("file", digest(b"{}"))})}, preview)
        self.assertEqual(self.registry("HEAD", f"other/x/manifests/{other}").status, 200)
        done = self.gc(grace_s=0)
        for field in ("manifests_removed", "links_removed", "files_removed", "bytes_freed", "files_kept"):
            self.assertEqual(done[field], preview[field], field)
        self.assertEqual(self.registry("HEAD", f"other/x/manifests/{other}").status, 404)
        self.assertEqual(self.registry("GET", f"{artifact['repository']}/manifests/{artifact['digest']}").status, 200)
        self.assertEqual(w.get("/v1/registry/gc"), done)
        audit = [entry["action"] for entry in w.get("/v1/audit")["items"]]
        self.assertIn("registry.gc", audit)

    def test_scrub_of_a_sound_registry(self):
        report = self.world.api("POST", "/v1/registry/scrub?wait=50", {}).json
        self.assertEqual((report["state"], report["damages"]), ("done", []), report)
        self.assertEqual(self.world.get("/v1/registry/scrub"), report)

    def test_a_push_over_the_quota_is_refused(self):
        w = self.world
        big = b"x" * (3 << 20)
        answer = self.registry("POST", f"quota/x/blobs/uploads/?digest={digest(big)}", big)
        self.assertEqual((answer.status, answer.json["errors"][0]["code"]), (403, "DENIED"), answer)
        usage = w.api("PUT", "/v1/registry/settings", {"repository": "quota/x", "quota_bytes": 8 << 20}).json
        self.assertEqual((usage["repository"], usage["quota_bytes"], usage["immutable_tags"]), ("quota/x", 8 << 20, False))
        self.assertEqual(self.registry("POST", f"quota/x/blobs/uploads/?digest={digest(big)}", big).status, 201)
        view = w.get("/v1/registry")
        self.assertEqual((view["quota_bytes"], view["repository_quota_bytes"]), (64 << 20, 2 << 20))
        self.assertGreaterEqual(view["bytes"], 3 << 20)
        self.assertEqual(list((w.dir / "ims" / "registry" / "uploads").iterdir()), [])

    def test_an_immutable_tag_does_not_move(self):
        w = self.world
        self.assertEqual(self.push("tags/x", "fixed", b"first")[0].status, 201)
        w.api("PUT", "/v1/registry/settings", {"repository": "tags/x", "immutable_tags": True})
        answer, _ = self.push("tags/x", "fixed", b"second")
        self.assertEqual((answer.status, answer.json["errors"][0]["code"]), (403, "DENIED"), answer)
        self.assertEqual(self.push("tags/x", "fixed", b"first")[0].status, 201)
        w.api("PUT", "/v1/registry/settings", {"repository": "tags/x", "immutable_tags": False})

    def test_a_push_whose_client_goes_away_leaves_no_upload(self):
        w = self.world
        uploads = w.dir / "ims" / "registry" / "uploads"
        blob = b"x" * (1 << 20)
        with socket.create_connection(("127.0.0.1", int(w.url.rpartition(":")[2]))) as line:
            line.sendall((f"POST /v2/other/x/blobs/uploads/?digest={digest(blob)} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(blob)}\r\n"
                          f"Authorization: Bearer {self.token_of_registry}\r\n\r\n").encode() + blob[:700_000])
            eventually(lambda: [path for path in uploads.iterdir() if path.stat().st_size >= 524_288], "bytes arrive")
        eventually(lambda: not list(uploads.iterdir()), "the upload is gone")
        self.assertEqual(self.registry("HEAD", f"other/x/blobs/{digest(blob)}").status, 404)

    def test_bad_requests(self):
        w = self.world
        for method, path, body in (("POST", UPKEEP[1], {"grace_s": -1}), ("POST", UPKEEP[2], {"mib_per_s": 0}),
                                   ("PUT", UPKEEP[3], {"repository": "No/Name"}), ("PUT", UPKEEP[3], {}),
                                   ("PUT", UPKEEP[3], {"repository": "a", "quota_bytes": -1}),
                                   ("POST", UPKEEP[1], {"dryrun": True})):
            with self.subTest(path=path, body=body):
                self.problem(w.call(method, path, body), 400, "invalid_argument")

    def test_only_operators(self):
        w = self.world
        for role in ("viewer", "ci"):
            token = w.user(role)
            for method, path in (("GET", UPKEEP[0]), ("POST", UPKEEP[1]), ("GET", UPKEEP[1]), ("POST", UPKEEP[2]), ("PUT", UPKEEP[3])):
                self.problem(w.call(method, path, {} if method != "GET" else None, token=token), 403, "permission_denied")
        self.assertEqual(w.call("GET", UPKEEP[0], token=w.user("operator")).status, 200)


if __name__ == "__main__":
    main()
