"""A registry that stops in the middle of a blob, in either direction, until it is told to go on: so that a client can be
killed there. It keeps what it got, and lists what it was asked."""
import hashlib
import http.server
import json
import re
import threading


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class StallingRegistry:
    def __init__(self):
        self.blobs, self.manifests, self.uploads = {}, {}, {}
        self.log = []  # (method, path, range, content-range, bytes that were sent or taken)
        self.stall_at = None  # bytes of a blob of more than that
        self.stalled, self.go_on, self.broken = threading.Event(), threading.Event(), threading.Event()
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self, status, body=b"", **headers):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def handle(self):
                try:
                    super().handle()
                except OSError:
                    registry.broken.set()  # the client was killed

            def entry(self):
                one = [self.command, self.path, self.headers.get("Range"), self.headers.get("Content-Range"), 0]
                registry.log.append(one)
                return one

            def stall(self, done, entry):
                if registry.stall_at is not None and done >= registry.stall_at and not registry.go_on.is_set():
                    entry[4] = done
                    registry.stalled.set()
                    registry.go_on.wait(60)

            def do_GET(self):
                entry = self.entry()
                path = self.path.partition("?")[0]
                if found := re.search(r"/manifests/([^/]+)$", path):
                    if found[1] not in registry.manifests:
                        return self.answer(404)
                    kind, body = registry.manifests[found[1]]
                    return self.answer(200, body, Content_Type=kind, Docker_Content_Digest=digest(body))
                if found := re.search(r"/blobs/uploads/([^/]+)$", path):
                    return self.located(204, found[1]) if found[1] in registry.uploads else self.answer(404)
                if found := re.search(r"/blobs/([^/]+)$", path):
                    return self.blob(registry.blobs.get(found[1]), entry)
                return self.answer(404)

            do_HEAD = do_GET

            def blob(self, body, entry):
                if body is None:
                    return self.answer(404)
                if self.command == "HEAD":
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(body)))
                    return self.end_headers()
                first = int(re.match(r"bytes=(\d+)-", self.headers["Range"])[1]) if self.headers["Range"] else 0
                self.send_response(206 if first else 200)
                if first:
                    self.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
                self.send_header("Content-Length", str(len(body) - first))
                self.end_headers()
                for at in range(first, len(body), 65536):
                    if len(body) > 1 << 20:
                        self.stall(at, entry)
                    self.wfile.write(body[at:at + 65536])
                    entry[4] += len(body[at:at + 65536])

            def located(self, status, upload):
                size = len(registry.uploads[upload])
                self.answer(status, Location=f"/v2/a/blobs/uploads/{upload}", Range=f"0-{max(size - 1, 0)}")

            def do_POST(self):
                self.entry()
                upload = f"u{len(registry.log)}"
                registry.uploads[upload] = bytearray()
                self.located(202, upload)

            def take(self, into, entry):
                left = int(self.headers.get("Content-Length", 0))
                large = left > 1 << 20
                while left:
                    got = self.rfile.read1(min(left, 65536))
                    if not got:
                        raise ConnectionResetError
                    into += got
                    left -= len(got)
                    entry[4] += len(got)
                    if large:
                        self.stall(len(into), entry)

            def do_PATCH(self):
                entry = self.entry()
                upload = self.path.rpartition("/")[2]
                if upload not in registry.uploads:
                    return self.answer(404)
                if self.headers["Content-Range"].split("-")[0] != str(len(registry.uploads[upload])):
                    return self.answer(416)
                self.take(registry.uploads[upload], entry)
                return self.located(202, upload)

            def do_PUT(self):
                entry = self.entry()
                path, _, query = self.path.partition("?")
                if found := re.search(r"/manifests/([^/]+)$", path):
                    body = bytearray()
                    self.take(body, entry)
                    registry.manifests[found[1]] = registry.manifests[digest(body)] = (self.headers["Content-Type"], bytes(body))
                    return self.answer(201)
                upload = path.rpartition("/")[2]
                if upload not in registry.uploads:
                    return self.answer(404)
                self.take(registry.uploads[upload], entry)
                body = bytes(registry.uploads.pop(upload))
                if "digest=" + digest(body).replace(":", "%3A") not in query:
                    return self.answer(400)
                registry.blobs[digest(body)] = body
                return self.answer(201)

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # a client that was killed

        self.server = Server(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.go_on.set()
        self.server.shutdown()
        self.server.server_close()

    def add_image(self, tag, layers):
        def put(data, kind):
            self.blobs[digest(data)] = data
            return {"mediaType": kind, "digest": digest(data), "size": len(data)}

        body = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                           "config": put(b"{}", "application/vnd.oci.empty.v1+json"),
                           "layers": [put(layer, "application/octet-stream") for layer in layers]}).encode()
        self.manifests[tag] = self.manifests[digest(body)] = ("application/vnd.oci.image.manifest.v1+json", body)
        return digest(body)

    def asked(self, method, part):
        return [one for one in self.log if one[0] == method and part in one[1]]
