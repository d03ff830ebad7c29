"""OCI distribution-spec 1.1 walked as a table: requirement → requests → expected answers, against the real binary.

Each row is one test on repositories of its own, named by the section of the spec and what it says there. MUST rows are
the spec's; SHOULD and MAY rows are what this registry chooses to do. Every answer of every row is checked besides for
what holds always: errors are JSON with a code of the spec, and HEAD brings no body.
"""
import hashlib
import http.client
import json
import re
import socket
import ssl
import unittest
import urllib.parse

from integration.harness import Answer, Case, main
from integration.registry import OCI_IMAGE, OCI_INDEX, DOCKER_IMAGE, DOCKER_LIST, bearer, digest, sha512

SPEC_CODES = {"BLOB_UNKNOWN", "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "DIGEST_INVALID", "MANIFEST_BLOB_UNKNOWN",
              "MANIFEST_INVALID", "MANIFEST_UNKNOWN", "NAME_INVALID", "NAME_UNKNOWN", "SIZE_INVALID", "UNAUTHORIZED",
              "DENIED", "UNSUPPORTED", "TOOMANYREQUESTS"}
EMPTY_JSON = "application/vnd.oci.empty.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"


def describe(content, media_type, **more):
    return {"mediaType": media_type, "digest": digest(content), "size": len(content), **more}


def pretty(value):
    """Spaces and order as no program of ours would write them: the bytes must survive."""
    return json.dumps(value, indent=3).encode() + b"\n"


class Manifest:
    """To be pushed by its digest, or as `tag`."""

    def __init__(self, value, media_type=OCI_IMAGE, tag=None):
        self.data = value if isinstance(value, bytes) else pretty(value)
        self.type, self.tag, self.digest = media_type, tag, digest(self.data)

    def tagged(self, tag):
        return Manifest(self.data, self.type, tag)

    def descriptor(self, **more):
        return describe(self.data, self.type, **more)


BLOB = b"the quick brown fox"
CONFIG = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'
EMPTY = b"{}"
UNKNOWN = digest(b"never pushed")
IMAGE = Manifest({"schemaVersion": 2, "mediaType": OCI_IMAGE, "config": describe(CONFIG, CONFIG_TYPE),
                  "layers": [describe(BLOB, LAYER_TYPE)], "annotations": {"of": "the image"}}, tag="v1")
UNTYPED = Manifest({"schemaVersion": 2, "config": describe(CONFIG, CONFIG_TYPE), "layers": []})
ARTIFACT = Manifest({"schemaVersion": 2, "mediaType": OCI_IMAGE, "artifactType": "application/vnd.example.thing",
                     "config": describe(EMPTY, EMPTY_JSON, data="e30="), "layers": [describe(EMPTY, EMPTY_JSON)]})
NO_LAYERS = Manifest({"schemaVersion": 2, "mediaType": OCI_IMAGE, "artifactType": "application/vnd.example.bare",
                      "config": describe(EMPTY, EMPTY_JSON), "layers": []})
DOCKER = Manifest({"schemaVersion": 2, "mediaType": DOCKER_IMAGE,
                   "config": describe(CONFIG, "application/vnd.docker.container.image.v1+json"),
                   "layers": [describe(BLOB, "application/vnd.docker.image.rootfs.diff.tar.gzip")]}, DOCKER_IMAGE)
FOREIGN = Manifest({"schemaVersion": 2, "mediaType": DOCKER_IMAGE,
                    "config": describe(CONFIG, "application/vnd.docker.container.image.v1+json"),
                    "layers": [describe(b"elsewhere", "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
                                        urls=["https://layers.invalid/x"])]}, DOCKER_IMAGE)
INDEX = Manifest({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [
    IMAGE.descriptor(platform={"architecture": "amd64", "os": "linux"})]}, OCI_INDEX)
INDEX_OF_INDEX = Manifest({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [INDEX.descriptor()]}, OCI_INDEX)
EMPTY_INDEX = Manifest({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}, OCI_INDEX)
CACHE_INDEX = Manifest({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [describe(BLOB, LAYER_TYPE)]}, OCI_INDEX)
LIST = Manifest({"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": [
    DOCKER.descriptor(platform={"architecture": "arm64", "os": "linux", "variant": "v8"})]}, DOCKER_LIST)


def referrer(kind, subject=IMAGE, **more):
    value = {"schemaVersion": 2, "mediaType": OCI_IMAGE, "config": describe(EMPTY, EMPTY_JSON), "layers": [],
             "subject": subject.descriptor(), "annotations": {"kind": kind}, **more}
    if kind:
        value["artifactType"] = f"application/vnd.example.{kind}"
    return Manifest(value)


SBOM, SIGNATURE = referrer("sbom"), referrer("signature")
BY_CONFIG = Manifest({"schemaVersion": 2, "mediaType": OCI_IMAGE, "config": describe(CONFIG, CONFIG_TYPE), "layers": [],
                      "subject": IMAGE.descriptor()})
INDEX_REFERRER = Manifest({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "subject": IMAGE.descriptor(),
                           "annotations": {"a": "b"}}, OCI_INDEX)
ORPHAN = Manifest({"schemaVersion": 2, "mediaType": OCI_IMAGE, "config": describe(EMPTY, EMPTY_JSON), "layers": [],
                   "subject": {"mediaType": OCI_IMAGE, "digest": UNKNOWN, "size": 123}})


def padded(size):
    """A manifest of exactly `size` bytes."""
    value = {"schemaVersion": 2, "mediaType": OCI_IMAGE, "config": describe(EMPTY, EMPTY_JSON), "layers": [],
             "annotations": {"pad": ""}}
    value["annotations"]["pad"] = "x" * (size - len(json.dumps(value)))
    return Manifest(json.dumps(value).encode())


LARGEST, TOO_LARGE = padded(4 << 20), padded((4 << 20) + 1)


class Step:
    """One request, what is expected of its answer, and what is kept of it for the next.

    has: header → exact text, pattern, or None (must not be there). `{name}` in paths and headers is what `save` kept,
    or {repo} and {other}, the row's own repositories."""

    def __init__(self, verb, path, status, body=None, headers=None, code=None, has=None, content=None, json=None,
                 save=None, why=None):
        self.verb, self.path, self.status, self.body, self.headers = verb, path, status, body, headers or {}
        self.code, self.has, self.content, self.json, self.save, self.why = code, has or {}, content, json, save or {}, why


RESTART = "kill -9 and start again"

get = lambda path, status=200, **more: Step("GET", path, status, **more)  # noqa: E731
head = lambda path, status=200, **more: Step("HEAD", path, status, **more)  # noqa: E731
delete = lambda path, status=202, **more: Step("DELETE", path, status, **more)  # noqa: E731


def post(query="", status=202, repo="{repo}", **more):
    return Step("POST", f"/v2/{repo}/blobs/uploads/{query}", status, **more)


def begin(**more):
    return post(has={"Location": re.compile(r"/v2/{repo}/blobs/uploads/\S+"), **more.pop("has", {})},
                save={"upload": "Location"}, **more)


def patch(data, span=None, status=202, **more):
    return Step("PATCH", "{upload}", status, body=data, headers={"Content-Range": span} if span else {},
                **({"save": {"upload": "Location"}} | more if status == 202 else more))


def close(data=b"", name=BLOB, status=201, span=None, algorithm=digest, **more):
    wanted = algorithm(name) if isinstance(name, bytes) else name
    if status == 201:
        more.setdefault("has", {"Location": f"/v2/{{repo}}/blobs/{wanted}", "Docker-Content-Digest": wanted})
    return Step("PUT", "{upload}?digest=" + wanted, status, body=data,
                headers={"Content-Range": span} if span else {}, **more)


def put(manifest, status=201, reference=None, content_type=None, **more):
    headers = {"Content-Type": content_type or manifest.type} if content_type != "" else {}
    if status == 201:
        more.setdefault("has", {"Location": f"/v2/{{repo}}/manifests/{manifest.digest}",
                                "Docker-Content-Digest": manifest.digest})
    return Step("PUT", f"/v2/{{repo}}/manifests/{reference or manifest.tag or manifest.digest}", status,
                body=manifest.data, headers=headers, **more)


def pulls(manifest, reference=None):
    return get(f"/v2/{{repo}}/manifests/{reference or manifest.digest}", content=manifest.data,
               has={"Content-Type": manifest.type, "Docker-Content-Digest": manifest.digest})


class Row:
    def __init__(self, requirement, *steps, given=(), names=()):
        self.requirement, self.steps, self.given, self.names = requirement, steps, given, names


WHOLE = (BLOB, CONFIG, IMAGE)
blob = "/v2/{repo}/blobs/" + digest(BLOB)
tags = "/v2/{repo}/tags/list"
manifests = "/v2/{repo}/manifests/"
refs = "/v2/{repo}/referrers/" + IMAGE.digest
NO_BODY = {"content": b""}


def listed(*wanted, link=None):
    def check(test, value):
        test.assertEqual(value, {"name": test.names["repo"], "tags": list(wanted)})
    return {"json": check, "has": {"Link": link, "Content-Type": "application/json"}}


def referred(*wanted, **more):
    """These descriptors, in any order."""
    def check(test, value):
        test.assertEqual((value["schemaVersion"], value["mediaType"]), (2, OCI_INDEX))
        test.assertEqual({d["digest"]: d for d in value["manifests"]}, {d["digest"]: d for d in wanted})
    return {"json": check, "has": {"Content-Type": OCI_INDEX, **more}}


def shown(manifest):
    """A manifest as the referrers API lists it."""
    value = json.loads(manifest.data)
    kind = value.get("artifactType") or value.get("config", {}).get("mediaType")
    more = {"artifactType": kind} if kind else {}
    if value.get("annotations"):
        more["annotations"] = value["annotations"]
    return manifest.descriptor(**more)


NAMES = ("a", "0", "a.b", "a_b", "a__b", "a-b", "a---b", "a/b/c/d", "0.0-0_0__0/1", "x" * 255, "a/" * 127 + "a")
BASE = [
    Row("Determining Support: GET /v2/ answers 200", get("/v2/", has={"Docker-Distribution-Api-Version": "registry/2.0"}),
        get("/v2"), head("/v2/")),
    Row("Endpoints: what is none answers 404 with an error body", get("/v2/x", 404), get("/v2/{repo}", 404),
        get("/v2/{repo}/tags", 404), get("/v2/{repo}/blobs/", 404), get("/v2/{repo}/manifests/", 404),
        get("/v2/{repo}/what/v1", 404), get("/v2//tags/list", 404), get("/v2/_catalogue", 404)),
    Row("Endpoints: another verb answers 405 and says which there are (RFC 9110 15.5.6)",
        Step("POST", tags, 405, code="UNSUPPORTED", has={"Allow": "GET, HEAD"}),
        Step("PUT", "/v2/", 405, has={"Allow": "GET, HEAD"}),
        Step("PATCH", blob, 405, has={"Allow": "GET, HEAD, DELETE"}),
        Step("POST", manifests + "v1", 405, has={"Allow": "GET, HEAD, PUT, DELETE"}),
        Step("DELETE", "/v2/{repo}/blobs/uploads/", 405, has={"Allow": "POST"}),
        get("/v2/{repo}/blobs/uploads/", 405, has={"Allow": "POST"}),
        Step("POST", "/v2/{repo}/blobs/uploads/abc", 405, has={"Allow": "GET, HEAD, PATCH, PUT, DELETE"}),
        Step("DELETE", refs, 405, has={"Allow": "GET, HEAD"}), Step("PUT", "/v2/_catalog", 405, has={"Allow": "GET, HEAD"})),
    Row("Error Codes: errors are {errors: [{code, message}]} with a code of the table",
        get(blob, 404, code="BLOB_UNKNOWN"), get(manifests + "v1", 404, code="MANIFEST_UNKNOWN"),
        get(tags, 404, code="NAME_UNKNOWN"), get("/v2/{repo}/blobs/uploads/" + "0" * 32, 404, code="BLOB_UPLOAD_UNKNOWN"),
        get("/v2/{repo}/blobs/sha256:abc", 400, code="DIGEST_INVALID"),
        get("/v2/{repo}/blobs/md5:" + "0" * 32, 400, code="DIGEST_INVALID"),
        get("/v2/{repo}/blobs/" + UNKNOWN.upper().replace("SHA256", "sha256"), 400, code="DIGEST_INVALID")),
    Row("Pulling manifests: <name> MUST match the expression", *(
        get(f"/v2/{name}/tags/list", 400, code="NAME_INVALID") for name in (
            "A", "a/B", "-a", "a-", ".a", "a.", "_a", "a_", "a..b", "a___b", "a._b", "a.-b", "a/-b", "a//b", "/a", "a/", "a:b",
            "a@b", "a%20b", "a%2fb", "a+b", "a~b", "a,b", "a;b", "a=b", "a!b", "a$b", "a&b", "a'b", "a(b", "a*b", "%61", "%00",
            "%c3%a4", "..", ".", "a/..", "a/../b", "%2e%2e", "x" * 256, "a/" * 127 + "aa"))),
    Row("Pulling manifests: every name that matches is one", *(
        get(f"/v2/{name}/tags/list", 404, code="NAME_UNKNOWN") for name in NAMES), names=NAMES),
    Row("_catalog: repositories, for operators", post("?digest=" + digest(BLOB), 201, repo="{other}", body=BLOB), get("/v2/_catalog?n=1", has={"Link": re.compile(r"</v2/_catalog\?n=1&last=\S+>; rel=\"next\"")},
        json=lambda t, v: t.assertEqual(len(v["repositories"]), 1)),
        get("/v2/_catalog?last=spec/zzz", json=lambda t, v: t.assertEqual(v, {"repositories": []})),
        get("/v2/_catalog?n=x", 400), given=(BLOB,)),
]

PULL = [
    Row("Pulling manifests: an existing one MUST be given with 200, its type and digest", pulls(IMAGE), pulls(IMAGE, "v1"),
        given=WHOLE),
    Row("Pulling manifests: not found MUST be 404", get(manifests + "none", 404, code="MANIFEST_UNKNOWN"),
        get(manifests + UNKNOWN, 404, code="MANIFEST_UNKNOWN"), get(manifests + ".INVALID", 404, code="MANIFEST_UNKNOWN"),
        get(manifests + "x" * 129, 404, code="MANIFEST_UNKNOWN"),
        get(manifests + "sha512:" + "0" * 128, 404, code="MANIFEST_UNKNOWN"), given=WHOLE),
    Row("Pulling manifests: <reference> MUST NOT be in any other format than tag or digest",
        *(get(manifests + bad, status) for bad, status in (
            ("-v1", 404), ("v%201", 404), ("v1%00", 404), ("sha256:zz", 404), ("%2e%2e%2fv1", 404), ("v/1", 404))), given=WHOLE),
    Row("Pulling manifests: Accept does not change the bytes", Step("GET", manifests + "v1", 200, content=IMAGE.data, headers={
        "Accept": f"{OCI_INDEX}, {DOCKER_LIST}"}), given=WHOLE),
    Row("Pulling manifests: ETag is the digest, If-None-Match answers 304 (RFC 9110 13.1.2)",
        get(manifests + "v1", has={"ETag": f'"{IMAGE.digest}"'}),
        *(Step(verb, manifests + "v1", 304, headers={"If-None-Match": tag}, has={"ETag": f'"{IMAGE.digest}"'}, **NO_BODY)
          for verb in ("GET", "HEAD") for tag in (f'"{IMAGE.digest}"', f'W/"{IMAGE.digest}"', "*", f'"x", "{IMAGE.digest}"')),
        Step("GET", manifests + "v1", 200, headers={"If-None-Match": f'"{UNKNOWN}"'}, content=IMAGE.data), given=WHOLE),
    Row("Pulling blobs: an existing one MUST be given with 200; its digest header MUST match", get(blob, content=BLOB, has={
        "Docker-Content-Digest": digest(BLOB), "Content-Length": str(len(BLOB)), "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream"}), given=(BLOB,)),
    Row("Pulling blobs: not found MUST be 404", get("/v2/{repo}/blobs/" + UNKNOWN, 404, code="BLOB_UNKNOWN"),
        get(blob.replace("{repo}", "{other}"), 404, code="BLOB_UNKNOWN", why="pushed to another repository only"), given=(BLOB,)),
    Row("Pulling blobs: an empty blob is one", post("?digest=" + digest(b""), 201, body=b""),
        get("/v2/{repo}/blobs/" + digest(b""), content=b"", has={"Content-Length": "0"}),
        Step("GET", "/v2/{repo}/blobs/" + digest(b""), 416, headers={"Range": "bytes=0-"}, has={"Content-Range": "bytes */0"})),
    Row("Pulling blobs: SHOULD support Range as RFC 9110: one range", *(
        Step("GET", blob, 206, headers={"Range": f"bytes={span}"}, content=BLOB[first:last + 1], has={
            "Content-Range": f"bytes {first}-{last}/{len(BLOB)}", "Content-Length": str(last + 1 - first),
            "Docker-Content-Digest": digest(BLOB)})
        for span, first, last in (("0-0", 0, 0), ("4-8", 4, 8), ("4-", 4, 18), ("0-", 0, 18), ("18-18", 18, 18), ("10-999", 10, 18),
                                  ("-4", 15, 18), ("-999", 0, 18), ("0-18", 0, 18))), given=(BLOB,)),
    Row("Pulling blobs: a range outside is 416 and says how long the blob is", *(
        Step("GET", blob, 416, headers={"Range": f"bytes={span}"}, has={"Content-Range": f"bytes */{len(BLOB)}"})
        for span in ("19-", "19-20", "-0", "99999999999999999999-")), given=(BLOB,)),
    Row("Pulling blobs: several ranges, other units and nonsense are answered by the whole (RFC 9110 14.2)", *(
        Step("GET", blob, 200, headers={"Range": span}, content=BLOB, has={"Content-Range": None})
        for span in ("bytes=0-1,3-4", "bytes=0-1,-1", "lines=0-1", "bytes=4-2", "bytes=x-y", "bytes=", "bytes=-", "bytes",
                     "bytes=1-2-3", "bytes=0x1-2", "bytes=+1-2")), given=(BLOB,)),
    Row("Pulling blobs: a range only if the blob is the one meant: If-Range (RFC 9110 13.1.5)",
        Step("GET", blob, 206, headers={"Range": "bytes=0-2", "If-Range": f'"{digest(BLOB)}"'}, content=BLOB[:3]),
        Step("GET", blob, 200, headers={"Range": "bytes=0-2", "If-Range": f'"{UNKNOWN}"'}, content=BLOB),
        Step("GET", blob, 200, headers={"Range": "bytes=0-2", "If-Range": f'W/"{digest(BLOB)}"'}, content=BLOB), given=(BLOB,)),
    Row("Pulling blobs: ETag and If-None-Match", get(blob, has={"ETag": f'"{digest(BLOB)}"', "Cache-Control": re.compile(".*immutable")}),
        Step("GET", blob, 304, headers={"If-None-Match": f'"a,b", W/"{digest(BLOB)}"'}, **NO_BODY),
        Step("HEAD", blob, 304, headers={"If-None-Match": "*"}),
        Step("GET", blob, 304, headers={"If-None-Match": "*", "Range": "bytes=0-1"}, **NO_BODY), given=(BLOB,)),
    Row("Checking if content exists: HEAD MUST be 200 with digest and length, without a body",
        head(blob, has={"Docker-Content-Digest": digest(BLOB), "Content-Length": str(len(BLOB))}),
        *(head(manifests + ref, has={"Docker-Content-Digest": IMAGE.digest, "Content-Length": str(len(IMAGE.data)),
                                     "Content-Type": OCI_IMAGE}) for ref in ("v1", IMAGE.digest)),
        Step("HEAD", blob, 200, headers={"Range": "bytes=0-1"}, has={"Content-Length": str(len(BLOB))}), given=WHOLE),
    Row("Checking if content exists: not found MUST be 404, without a body", head("/v2/{repo}/blobs/" + UNKNOWN, 404),
        head(manifests + "none", 404), head(manifests + UNKNOWN, 404), head("/v2/a/B/tags/list", 400)),
    Row("HEAD answers as GET would, wherever there is a GET (RFC 9110 9.3.2)", head(tags), head(refs, has={"Content-Type": OCI_INDEX}),
        head("/v2/_catalog"), given=WHOLE),
]

PUSH = [
    Row("POST then PUT: 202 and MUST have a Location; PUT MUST be 201 with a pullable Location", begin(), close(BLOB),
        get(blob, content=BLOB)),
    Row("POST then PUT: Location goes with another digest parameter than sha256", begin(), close(BLOB, algorithm=sha512),
        get("/v2/{repo}/blobs/" + sha512(BLOB), content=BLOB, has={"Docker-Content-Digest": sha512(BLOB)}),
        get(blob, 404, why="it was pushed by the other digest")),
    Row("POST: digest-algorithm announces what is coming", post("?digest-algorithm=sha512", save={"upload": "Location"}),
        patch(BLOB), close(algorithm=sha512), post("?digest-algorithm=md5", 400, code="DIGEST_INVALID")),
    Row("POST: each session id is unique", begin(), Step("POST", "/v2/{repo}/blobs/uploads/", 202, save={"second": "Location"}),
        Step("GET", "{second}", 204), Step("DELETE", "{upload}", 204), Step("GET", "{second}", 204)),
    Row("Single POST: MUST be 201 with a Location", post("?digest=" + digest(BLOB), 201, body=BLOB, has={
        "Location": "/v2/{repo}/blobs/" + digest(BLOB), "Docker-Content-Digest": digest(BLOB)}), get(blob, content=BLOB)),
    Row("Single POST: with sha512", post("?digest=" + sha512(BLOB), 201, body=BLOB), get("/v2/{repo}/blobs/" + sha512(BLOB), content=BLOB)),
    Row("Single POST: <digest> MUST match", post("?digest=" + UNKNOWN, 400, body=BLOB, code="DIGEST_INVALID"),
        post("?digest=sha256:nonsense", 400, body=BLOB, code="DIGEST_INVALID"), get("/v2/{repo}/blobs/" + UNKNOWN, 404), get(blob, 404)),
    Row("POST then PUT: the digest MUST match, and the session is over when it does not", begin(),
        close(BLOB, UNKNOWN, 400, code="DIGEST_INVALID"), get("/v2/{repo}/blobs/" + UNKNOWN, 404), get(blob, 404),
        Step("GET", "{upload}", 404, code="BLOB_UPLOAD_UNKNOWN")),
    Row("POST then PUT: MUST include the digest; without one the session goes on", begin(),
        Step("PUT", "{upload}", 400, body=BLOB, code="DIGEST_INVALID"), Step("PUT", "{upload}?digest=", 400, body=BLOB, code="DIGEST_INVALID"),
        close(BLOB), get(blob, content=BLOB)),
    Row("Pushing twice is the same as once", post("?digest=" + digest(BLOB), 201, body=BLOB), get(blob, content=BLOB), given=(BLOB,)),
    Row("Chunks: POST SHOULD say the minimum, 202; each PATCH MUST be 202 with Location and Range; PUT closes",
        begin(has={"OCI-Chunk-Min-Length": re.compile(r"\d+"), "Range": "0-0"}),
        patch(BLOB[:8], "0-7", has={"Range": "0-7", "Location": re.compile(r"/v2/{repo}/blobs/uploads/\S+")}),
        patch(BLOB[8:], "8-18", has={"Range": "0-18"}), close(), get(blob, content=BLOB)),
    Row("Chunks: the final chunk MAY come with PUT", begin(), patch(BLOB[:8], "0-7"), close(BLOB[8:], span="8-18"), get(blob, content=BLOB)),
    Row("Chunks: smaller ones than the minimum are taken", begin(), *(patch(BLOB[i:i + 1], f"{i}-{i}") for i in range(len(BLOB))),
        close(), get(blob, content=BLOB)),
    Row("Chunks: out of order MUST be 416, and says where to go on", begin(),
        patch(BLOB[8:], "8-18", 416, code="BLOB_UPLOAD_INVALID", has={"Range": "0-0", "Location": "{upload}"}),
        patch(BLOB[:8], "0-7"), patch(BLOB[:8], "0-7", 416, has={"Range": "0-7", "Location": "{upload}"}, why="sent again"),
        patch(BLOB[9:], "9-18", 416, has={"Range": "0-7"}, why="a gap"), close(BLOB[9:], span="9-18", status=416, has={"Range": "0-7"}),
        patch(BLOB[8:], "8-18"), close(), get(blob, content=BLOB)),
    Row("Chunks: the range MUST match ^[0-9]+-[0-9]+$", begin(), *(patch(BLOB, span, 416, code="BLOB_UPLOAD_INVALID") for span in (
        "0", "-18", "0-", "a-b", "0-18x", "18-0", "0--1", "0-99999999999999999999", "bytes=0-18", "+0-18")),
        Step("GET", "{upload}", 204, has={"Range": "0-0"}), patch(BLOB, "0-18"), close()),
    Row("Chunks: the range is as long as the chunk, whether its length is announced or not", begin(), patch(BLOB[:8], "0-9", 416),
        patch(BLOB[:8], "0-6", 416), Step("GET", "{upload}", 204, has={"Range": "0-0"}, why="nothing of them was kept"), patch(BLOB, "0-18"), close()),
    Row("Chunks: of unknown length, it ends where its range does; what came of it counts", begin(), patch([BLOB[:8]], "0-9", 416, has={"Range": "0-7"}),
        Step("GET", "{upload}", 204, has={"Range": "0-7"}), patch([BLOB[8:]], "8-18"), close(), begin(), patch([BLOB[:8], BLOB[8:]], "0-7", 416),
        Step("GET", "{upload}", 204, has={"Range": re.compile("0-[07]")}, why="as many pieces as fit"), Step("DELETE", "{upload}", 204)),
    Row("Chunks: PATCH without a range, or with a body of unknown length, is a stream", begin(), patch([BLOB[:5], BLOB[5:9]], has={"Range": "0-8"}),
        patch(BLOB[9:12], has={"Range": "0-11"}), close([BLOB[12:]]), get(blob, content=BLOB)),
    Row("Chunks: an empty PATCH changes nothing", begin(), patch(b"", has={"Range": "0-0"}), patch(BLOB, "0-18"), patch(b"", has={"Range": "0-18"}), close()),
    Row("Chunks: the closing digest MUST be of the whole blob", begin(), patch(BLOB[:8], "0-7"),
        close(BLOB[8:], BLOB[8:], 400, span="8-18", code="DIGEST_INVALID"), get("/v2/{repo}/blobs/" + digest(BLOB[8:]), 404), get(blob, 404)),
    Row("Upload status: MUST be 204 with Location and Range", begin(), Step("GET", "{upload}", 204, has={"Location": "{upload}", "Range": "0-0"}, **NO_BODY),
        patch(BLOB[:8], "0-7"), Step("GET", "{upload}", 204, has={"Location": "{upload}", "Range": "0-7"}, save={"upload": "Location"}, **NO_BODY),
        patch(BLOB[8:], "8-18"), close()),
    Row("Resumable push: an upload outlives the registry's crash", begin(), patch(BLOB[:8], "0-7"), RESTART,
        Step("GET", "{upload}", 204, has={"Range": "0-7"}), patch(BLOB[8:], "8-18"), RESTART, close(), RESTART, get(blob, content=BLOB)),
    Row("Sessions: an unknown one is 404", *(Step(verb, "/v2/{repo}/blobs/uploads/" + name + query, 404, body=body, code="BLOB_UPLOAD_UNKNOWN")
        for name in ("0" * 32, "x", "..%2f..%2fregistry.db", "%2e%2e") for verb, query, body in (
            ("GET", "", None), ("PATCH", "", b"x"), ("PUT", "?digest=" + UNKNOWN, b"x"), ("DELETE", "", None)))),
    Row("Sessions: over when closed", begin(), close(BLOB), *(Step(verb, "{upload}" + query, 404, body=body, code="BLOB_UPLOAD_UNKNOWN") for verb, query, body in (
        ("GET", "", None), ("PATCH", "", b"x"), ("PUT", "?digest=" + digest(BLOB), b""), ("DELETE", "", None)))),
    Row("Cancel a blob upload: SHOULD be 204; then it is unknown", begin(), patch(BLOB[:8]), Step("DELETE", "{upload}", 204, **NO_BODY),
        Step("DELETE", "{upload}", 404, code="BLOB_UPLOAD_UNKNOWN"), patch(BLOB[8:], status=404, code="BLOB_UPLOAD_UNKNOWN")),
    Row("Mounting: MUST be 201 with a Location", post("?mount=" + digest(BLOB) + "&from={repo}", 201, repo="{other}", has={
        "Location": "/v2/{other}/blobs/" + digest(BLOB), "Docker-Content-Digest": digest(BLOB)}),
        get(blob.replace("{repo}", "{other}"), content=BLOB), given=(BLOB,)),
    Row("Mounting: MAY go without from", post("?mount=" + digest(BLOB), 201, repo="{other}", has={
        "Location": "/v2/{other}/blobs/" + digest(BLOB)}), get(blob.replace("{repo}", "{other}"), content=BLOB), given=(BLOB,)),
    Row("Mounting: what cannot be mounted SHOULD be 202, a session that can be used",
        *(Step("POST", "/v2/{other}/blobs/uploads/" + query, 202, save={"upload": "Location"}) for query in (
            "?mount=" + UNKNOWN + "&from={repo}", "?mount=" + UNKNOWN, "?mount=" + digest(BLOB) + "&from=no/such",
            "?mount=" + digest(BLOB) + "&from=NOT..A..NAME", "?mount=nonsense&from={repo}", "?mount=&from=", "?from={repo}")),
        Step("PUT", "{upload}?digest=" + digest(BLOB), 201, body=BLOB), get(blob.replace("{repo}", "{other}"), content=BLOB), given=(BLOB,)),
    Row("Mounting: into the repository itself", post("?mount=" + digest(BLOB) + "&from={repo}", 201), get(blob, content=BLOB), given=(BLOB,)),
]

PUSH_MANIFESTS = [
    Row("Pushing manifests: MUST be 201 with Location and Docker-Content-Digest; MUST store the exact bytes", put(IMAGE), pulls(IMAGE), pulls(IMAGE, "v1"),
        put(IMAGE.tagged("other")), pulls(IMAGE, "other"), given=(BLOB, CONFIG)),
    Row("Pushing manifests: by digest, which MUST match", put(IMAGE, reference=IMAGE.digest), pulls(IMAGE),
        put(IMAGE, 400, reference=UNKNOWN, code="DIGEST_INVALID"), get(manifests + UNKNOWN, 404), get(manifests + "v1", 404), given=(BLOB, CONFIG)),
    Row("Pushing manifests: by sha512", put(IMAGE, reference=sha512(IMAGE.data), has={"Docker-Content-Digest": sha512(IMAGE.data),
        "Location": manifests + sha512(IMAGE.data)}), get(manifests + sha512(IMAGE.data), content=IMAGE.data, has={"Docker-Content-Digest": sha512(IMAGE.data)}),
        put(IMAGE, 400, reference=sha512(b"x"), code="DIGEST_INVALID"), given=(BLOB, CONFIG)),
    Row("Pushing manifests: a tag moves", put(IMAGE), put(ARTIFACT.tagged("v1")), pulls(ARTIFACT, "v1"), pulls(IMAGE), given=(BLOB, CONFIG, EMPTY)),
    Row("Pushing manifests: SHOULD ignore parameters of the type", put(IMAGE, content_type=OCI_IMAGE + "; charset=utf-8"), pulls(IMAGE), given=(BLOB, CONFIG)),
    Row("Pushing manifests: the type in the body counts when none is sent, and they MUST agree", put(IMAGE, content_type=""), pulls(IMAGE),
        put(IMAGE, 400, content_type=OCI_INDEX, code="MANIFEST_INVALID"), put(IMAGE, 400, content_type=DOCKER_IMAGE, code="MANIFEST_INVALID"),
        put(UNTYPED), pulls(UNTYPED), given=(BLOB, CONFIG)),
    Row("Pushing manifests: other types than manifests are none", *(put(IMAGE, 400, content_type=kind, code="MANIFEST_INVALID") for kind in (
        "text/plain", "application/json", "application/vnd.docker.distribution.manifest.v1+prettyjws")), given=(BLOB, CONFIG)),
    Row("Pushing manifests: MUST NOT be in any other format: tags", *(put(IMAGE, 400, reference=tag, code="MANIFEST_INVALID") for tag in (
        "-a", ".a", "a%20b", "a+b", "a*b", "a@b", "%c3%a4", "x" * 129, "a%2fb", "a%00")),
        *(put(IMAGE, reference=tag) for tag in ("x" * 128, "_", "0", "A.b-c_D", "a..b", "sha256-" + "0" * 64)), given=(BLOB, CONFIG)),
    Row("Pushing manifests: a digest of no known form is none", put(IMAGE, 400, reference="sha256:abc", code="DIGEST_INVALID"),
        put(IMAGE, 400, reference="md5:" + "0" * 32, code="DIGEST_INVALID"), given=(BLOB, CONFIG)),
    Row("Pushing manifests: MAY reject what names missing blobs, then MUST say MANIFEST_BLOB_UNKNOWN", put(IMAGE, 404, code="MANIFEST_BLOB_UNKNOWN"),
        get(manifests + "v1", 404), get(manifests + IMAGE.digest, 404), get(tags, why="the repository has a blob", **listed()), given=(BLOB,)),
    Row("Pushing manifests: a blob of another repository is missing", put(IMAGE, 404, code="MANIFEST_BLOB_UNKNOWN"),
        Step("PUT", manifests.replace("{repo}", "{other}") + "v1", 404, body=IMAGE.data, headers={"Content-Type": OCI_IMAGE}, code="MANIFEST_BLOB_UNKNOWN"),
        given=(BLOB,)),
    Row("Pushing manifests: foreign layers are not pushed (image-spec, non-distributable layers)", put(FOREIGN), pulls(FOREIGN), given=(CONFIG,)),
    Row("Pushing manifests: malformed ones", *(Step("PUT", manifests + "v1", 400, body=body, headers={"Content-Type": kind}, code="MANIFEST_INVALID")
        for kind in (OCI_IMAGE, OCI_INDEX, DOCKER_IMAGE, DOCKER_LIST) for body in (
            b"", b"{", b"[]", b"null", b"1", b'"x"', b"{}", b"\xff\xfe", b'{"schemaVersion":2}', b'{"schemaVersion":1,"manifests":[],"config":{},"layers":[]}',
            b'{"schemaVersion":2,"config":{},"layers":{}}', b'{"schemaVersion":2,"manifests":{}}', b'{"schemaVersion":2,"config":null,"layers":[]}',
            b'{"schemaVersion":2,"manifests":[{"mediaType":"a/b","digest":"sha256:1","size":1}]}', b"[" * 100_000, b'{"a":' * 100_000)),
        get(manifests + "v1", 404), get(tags, **listed()), given=(BLOB,)),
    Row("Pushing manifests: a descriptor lies about size or digest", *(put(Manifest({**json.loads(IMAGE.data), "layers": [layer]}), 400, code="MANIFEST_INVALID")
        for layer in ({**describe(BLOB, LAYER_TYPE), "size": 7}, {**describe(BLOB, LAYER_TYPE), "size": -1}, {**describe(BLOB, LAYER_TYPE), "size": 1.5},
                      {**describe(BLOB, LAYER_TYPE), "size": 2 ** 64}, {**describe(BLOB, LAYER_TYPE), "digest": "sha256:x"},
                      {**describe(BLOB, LAYER_TYPE), "digest": ""}, {**describe(BLOB, LAYER_TYPE), "mediaType": ""}, {"digest": digest(BLOB)}, [], 1)),
        given=(BLOB, CONFIG)),
    Row("Pushing manifests: one body is not both image and index (CVE-2021-41190)", put(Manifest({**json.loads(IMAGE.data), "manifests": []}), 400, code="MANIFEST_INVALID"),
        put(Manifest({**json.loads(INDEX.data), "layers": []}, OCI_INDEX), 400, code="MANIFEST_INVALID"), given=WHOLE),
    Row("Pushing manifests: SHOULD support 4 MiB, and SHOULD answer 413 beyond its limit", put(LARGEST), pulls(LARGEST), put(TOO_LARGE, 413, code="SIZE_INVALID"),
        get(manifests + TOO_LARGE.digest, 404), given=(EMPTY,)),
    Row("Pushing manifests: artifacts with the empty config, and without layers", put(ARTIFACT), pulls(ARTIFACT), put(NO_LAYERS), pulls(NO_LAYERS), given=(EMPTY,)),
    Row("Pushing manifests: an index, an index of indexes, an empty one", put(INDEX.tagged("i")), pulls(INDEX, "i"), put(INDEX_OF_INDEX), pulls(INDEX_OF_INDEX),
        put(EMPTY_INDEX), pulls(EMPTY_INDEX), given=WHOLE),
    Row("Pushing manifests: an index whose entries are blobs, as build caches are", put(CACHE_INDEX), pulls(CACHE_INDEX), given=(BLOB,)),
    Row("Pushing manifests: an index with a missing child", put(INDEX, 404, code="MANIFEST_BLOB_UNKNOWN"), put(INDEX_OF_INDEX, 404, code="MANIFEST_BLOB_UNKNOWN"),
        given=(BLOB, CONFIG)),
    Row("Pushing manifests: Docker's schema 2 image and list, byte for byte", put(DOCKER.tagged("d")), pulls(DOCKER, "d"), put(LIST.tagged("l")), pulls(LIST, "l"),
        pulls(LIST), given=(BLOB, CONFIG)),
    Row("Pushing with subject: MUST be accepted also when the subject is missing, and answered with OCI-Subject", put(ORPHAN, has={"OCI-Subject": UNKNOWN}),
        put(IMAGE, has={"OCI-Subject": None}), put(SBOM, has={"OCI-Subject": IMAGE.digest}), put(INDEX_REFERRER, has={"OCI-Subject": IMAGE.digest}),
        get("/v2/{repo}/referrers/" + UNKNOWN, **referred(shown(ORPHAN))), given=(BLOB, CONFIG, EMPTY)),
    Row("Pushing a manifest does not make its blobs readable elsewhere", get(blob.replace("{repo}", "{other}"), 404), given=WHOLE),
]

TAGS = [IMAGE.tagged(name) for name in ("b", "A", "a", "B", "10", "9", "_", "a.b", "a-b", "v1")]
ORDER = sorted(t.tag for t in TAGS)
DISCOVERY = [
    Row("Listing tags: MUST be 200, in ASCIIbetical order", get(tags, **listed(*ORDER)), given=(BLOB, CONFIG, *TAGS)),
    Row("Listing tags: the list MAY be empty", get(tags, **listed()), given=(BLOB,)),
    Row("Listing tags: a repository that does not exist is 404", get(tags, 404, code="NAME_UNKNOWN")),
    Row("Listing tags: n MUST give as many, and Link to the rest", get(tags + "?n=3", **listed(*ORDER[:3], link=f'</v2/{{repo}}/tags/list?n=3&last={ORDER[2]}>; rel="next"')),
        get(tags + "?n=10", **listed(*ORDER)), get(tags + "?n=11", **listed(*ORDER)), get(tags + "?n=99999999999999999999", **listed(*ORDER)),
        given=(BLOB, CONFIG, *TAGS)),
    Row("Listing tags: n=0 MUST be an empty list without Link", get(tags + "?n=0", **listed()), get(tags + "?n=0&last=a", **listed()), given=(BLOB, CONFIG, *TAGS)),
    Row("Listing tags: last MUST NOT be in the list, and need not exist", get(tags + "?last=A", **listed(*ORDER[ORDER.index("A") + 1:])),
        get(tags + "?n=1&last=" + ORDER[0], **listed(ORDER[1], link=re.compile(r'<.*last=.*>; rel="next"'))), get(tags + "?last=zzz", **listed()),
        get(tags + "?last=AA", **listed(*ORDER[ORDER.index("A") + 1:])), get(tags + "?n=2&last=" + ORDER[-1], **listed()), given=(BLOB, CONFIG, *TAGS)),
    Row("Listing tags: an n that is no number is refused", *(get(tags + "?n=" + n, 400, code="UNSUPPORTED") for n in ("x", "-1", "1.5", "", "%20")), given=WHOLE),
    Row("Listing referrers: MUST be 200 with an index; none is an empty one, never 404", get(refs, **referred()),
        get("/v2/{repo}/referrers/" + UNKNOWN, **referred()), get("/v2/{other}/referrers/" + UNKNOWN, **referred())),
    Row("Listing referrers: an invalid digest MUST be 400", get("/v2/{repo}/referrers/sha256:abc", 400, code="DIGEST_INVALID"),
        get("/v2/{repo}/referrers/v1", 400, code="DIGEST_INVALID")),
    Row("Listing referrers: descriptors MUST have artifactType (config's type if none, omitted for an index) and annotations",
        get(refs, **referred(*(shown(r) for r in (SBOM, SIGNATURE, BY_CONFIG, INDEX_REFERRER)))), given=(*WHOLE, EMPTY, SBOM, SIGNATURE, BY_CONFIG, INDEX_REFERRER)),
    Row("Listing referrers: only of this repository and this subject", get("/v2/{other}/referrers/" + IMAGE.digest, **referred()),
        get("/v2/{repo}/referrers/" + SBOM.digest, **referred()), given=(*WHOLE, EMPTY, SBOM)),
    Row("Listing referrers: filtering SHOULD be there, and MUST be said", get(refs + "?artifactType=application/vnd.example.sbom", **referred(shown(SBOM), **{
        "OCI-Filters-Applied": "artifactType"})), get(refs + "?artifactType=" + urllib.parse.quote(CONFIG_TYPE, ""), **referred(shown(BY_CONFIG), **{"OCI-Filters-Applied": "artifactType"})),
        get(refs + "?artifactType=none", **referred(**{"OCI-Filters-Applied": "artifactType"})), get(refs, **referred(*(shown(r) for r in (SBOM, SIGNATURE, BY_CONFIG)), **{
            "OCI-Filters-Applied": None})), given=(*WHOLE, EMPTY, SBOM, SIGNATURE, BY_CONFIG)),
    Row("Listing referrers: gone when it is deleted", delete(manifests + SBOM.digest), get(refs, **referred(shown(SIGNATURE))), given=(*WHOLE, EMPTY, SBOM, SIGNATURE)),
    Row("Listing referrers: they outlive their subject", delete(manifests + IMAGE.digest), get(refs, **referred(shown(SBOM))), given=(*WHOLE, EMPTY, SBOM)),
]

MANAGEMENT = [
    Row("Deleting tags: MUST be 202; then a GET is 404, and the manifest is there", delete(manifests + "v1"), get(manifests + "v1", 404), pulls(IMAGE), get(tags, **listed()),
        delete(manifests + "v1", 404, code="MANIFEST_UNKNOWN"), given=WHOLE),
    Row("Deleting manifests: MUST be 202; then digest and tags are 404", delete(manifests + IMAGE.digest), get(manifests + IMAGE.digest, 404), get(manifests + "v1", 404),
        get(manifests + "v2", 404), get(tags, **listed()), delete(manifests + IMAGE.digest, 404, code="MANIFEST_UNKNOWN"), get(blob, content=BLOB),
        given=(*WHOLE, IMAGE.tagged("v2"))),
    Row("Deleting manifests: in a repository that does not exist MUST be 404", delete(manifests + UNKNOWN, 404), delete(manifests + "v1", 404)),
    Row("Deleting blobs: MUST be 202; not found MUST be 404", delete(blob), get(blob, 404, code="BLOB_UNKNOWN"), head(blob, 404), delete(blob, 404, code="BLOB_UNKNOWN"),
        delete("/v2/{repo}/blobs/sha256:x", 400, code="DIGEST_INVALID"), given=(BLOB,)),
    Row("Deleting blobs: other repositories keep theirs", post("?mount=" + digest(BLOB) + "&from={repo}", 201, repo="{other}"), delete(blob), get(blob, 404),
        get(blob.replace("{repo}", "{other}"), content=BLOB), given=(BLOB,)),
    Row("Deleted content can be pushed again", delete(manifests + IMAGE.digest), delete(blob), post("?digest=" + digest(BLOB), 201, body=BLOB), put(IMAGE), pulls(IMAGE, "v1"), given=WHOLE),
]


class Spec(Case):
    """Its tests are made from the rows below."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.process = cls.world.ims()

    def exchange(self, verb, path, body=None, headers=None):
        """One request; a list as the body goes chunked. HEAD is read to the end of the connection: no byte may follow."""
        parts = urllib.parse.urlsplit(urllib.parse.urljoin(self.world.url, path) if path.startswith("http") else self.world.url + path)
        sent = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        if verb == "HEAD":
            with socket.create_connection((parts.hostname, parts.port), 70) as raw:
                lines = [f"HEAD {target} HTTP/1.1", f"Host: {parts.netloc}", "Connection: close", *(f"{k}: {v}" for k, v in sent.items())]
                raw.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
                text = b"".join(iter(lambda: raw.recv(65536), b""))
            top, _, rest = text.partition(b"\r\n\r\n")
            self.assertEqual(rest, b"", f"HEAD {path} brought a body")
            status, _, fields = top.partition(b"\r\n")
            return Answer(int(status.split()[1]), http.client.parse_headers(__import__("io").BytesIO(fields + b"\r\n\r\n")), b"")
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=70)
        try:
            if isinstance(body, list):
                sent["Transfer-Encoding"] = "chunked"
                connection.request(verb, target, body=iter(body), headers=sent, encode_chunked=True)
            else:
                connection.request(verb, target, body=body, headers=sent)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def filled(self, text):
        for name, value in self.names.items():
            text = text.replace("{" + name + "}", value)
        return text

    def given(self, thing):
        if isinstance(thing, Manifest):
            answer = self.exchange("PUT", f"/v2/{self.names['repo']}/manifests/{thing.tag or thing.digest}", thing.data, {"Content-Type": thing.type})
        else:
            answer = self.exchange("POST", f"/v2/{self.names['repo']}/blobs/uploads/?digest={digest(thing)}", thing)
        self.assertEqual(answer.status, 201, answer)

    def always(self, answer):
        """What holds for every answer."""
        self.assertEqual(answer.headers["Docker-Distribution-Api-Version"], "registry/2.0")
        if answer.status >= 400 and answer.headers["Content-Length"] != "0":
            self.assertEqual(answer.headers["Content-Type"], "application/json")
            for error in json.loads(answer.body)["errors"] if answer.body else []:
                self.assertIn(error["code"], SPEC_CODES)
                self.assertTrue(error["message"])

    def check(self, step):
        path = self.filled(step.path)
        if path.count("?") > 1: # the location of an upload may have a query of its own
            path = "&".join(path.rsplit("?", 1))
        answer = self.exchange(step.verb, path, step.body, {k: self.filled(v) for k, v in step.headers.items()})
        self.assertEqual(answer.status, step.status, answer)
        self.always(answer)
        if step.code:
            self.assertEqual(answer.json["errors"][0]["code"], step.code, answer)
        for name, wanted in step.has.items():
            got = answer.headers[name]
            if isinstance(wanted, re.Pattern):
                self.assertRegex(got or "", "^" + self.filled(wanted.pattern) + "$", name)
            else:
                self.assertEqual(got, self.filled(wanted) if wanted else wanted, name)
        if step.content is not None:
            self.assertEqual(answer.body, step.content)
        if step.json and step.verb != "HEAD":
            step.json(self, answer.json)
        for name, header in step.save.items():
            self.names[name] = answer.headers[header]

    def walk(self, number, row):
        self.names = {"repo": f"spec/row-{number}", "other": f"spec/other-{number}"}
        self.token = bearer(self.world, *(f"repository:{name}:pull,push,delete" for name in (*self.names.values(), *row.names)), "registry:catalog:*")
        for thing in row.given:
            self.given(thing)
        for at, step in enumerate(row.steps):
            if step is RESTART:
                self.process.kill()
                type(self).process = self.world.ims()
                continue
            with self.subTest(row=row.requirement, step=f"{at}: {step.verb} {step.path[:120]}{' ' + str(step.headers)[:100] if step.headers else ''}",
                              why=step.why):
                self.check(step)


def make_tests():
    number = 0
    for table in ("BASE", "PULL", "PUSH", "PUSH_MANIFESTS", "DISCOVERY", "MANAGEMENT"):
        for row in globals()[table]:
            number += 1

            def test(self, number=number, row=row):
                self.walk(number, row)

            slug = re.sub(r"[^a-z0-9]+", "_", row.requirement.lower()).strip("_")[:80]
            test.__doc__ = row.requirement
            setattr(Spec, f"test_{number:03}_{table.lower()}_{slug}", test)


make_tests()

if __name__ == "__main__":
    main()
