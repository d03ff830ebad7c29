"""An agent that speaks the protocol of docs/protocol.md itself, so that a test can do what no honest agent does. Its key
is made and used by the openssl program."""
import base64
import json
import secrets
import subprocess
import time
import urllib.parse

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def ulid():
    number = (int(time.time() * 1000) << 80) | secrets.randbits(80)
    return "".join(CROCKFORD[(number >> (5 * i)) & 31] for i in reversed(range(26)))


def session_id():
    return f"ses_{ulid()}"


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def raw_signature(der):
    """r || s, 32 bytes each (RFC 7518 section 3.4), of an ASN.1 SEQUENCE of two INTEGERs."""
    out, at = b"", 2
    for _ in range(2):
        size = der[at + 1]
        out += int.from_bytes(der[at + 2:at + 2 + size], "big").to_bytes(32, "big")
        at += 2 + size
    return out


class Key:
    def __init__(self, directory):
        self.file = directory / f"key-{secrets.token_hex(4)}.pem"
        subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", self.file],
                       check=True, capture_output=True)

    def public_pem(self):
        return subprocess.run(["openssl", "pkey", "-in", self.file, "-pubout"], check=True, capture_output=True, text=True).stdout

    def jwt(self, claims, header=None):
        parts = b64url(json.dumps(header or {"alg": "ES256", "typ": "JWT"}).encode()) + "." + b64url(json.dumps(claims).encode())
        der = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.file], input=parts.encode(), check=True,
                             capture_output=True).stdout
        return f"{parts}.{b64url(raw_signature(der))}"


def exchange(world, assertion):
    """POST /v1/token, whatever it answers."""
    form = {"grant_type": "client_credentials", "client_assertion": assertion,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}
    return world.call("POST", "/v1/token", urllib.parse.urlencode(form).encode(), token=None,
                      headers={"Content-Type": "application/x-www-form-urlencoded"})


class RawAgent:
    def __init__(self, world, kind="build", install=None, token=None):
        """Enrols; `token` None: asks for one as the owner."""
        self.world, self.key, self.session = world, Key(world.dir), session_id()
        if token is None:
            path = f"/v1/installs/{install}/enroll-token" if install else "/v1/agents/enroll-token"
            token = world.api("POST", path, {}).json["token"]
        answer = self.enroll(world, token, kind, self.key)
        if answer.status != 201:
            raise AssertionError(repr(answer))
        self.id, self.ims = answer.json["agent"], answer.json["ims"]
        self.access = self.authenticate()

    @staticmethod
    def enroll(world, token, kind, key):
        return world.call("POST", "/v1/agents/enroll", {"token": token, "public_key": key.public_pem(), "kind": kind,
                                                       "version": "test", "hostname": "here"}, token=None)

    def claims(self, **changed):
        now = int(time.time())
        claims = {"iss": self.id, "sub": self.id, "aud": self.ims, "iat": now, "exp": now + 60, "jti": secrets.token_hex(16)}
        claims.update(changed)
        return claims

    def authenticate(self):
        answer = exchange(self.world, self.key.jwt(self.claims()))
        if answer.status != 200:
            raise AssertionError(repr(answer))
        return answer.json["access_token"]

    def poll_answer(self, slots=1, running=(), wait_s=0, session=None):
        body = {"session": session or self.session, "slots": slots, "wait_s": wait_s,
                "running": [{"job": job, "epoch": epoch} for job, epoch in running]}
        return self.world.call("POST", "/v1/agent/poll", body, token=self.access)

    def poll(self, **options):
        """The answer's content; None for 204."""
        answer = self.poll_answer(**options)
        if answer.status == 204:
            return None
        if answer.status != 200:
            raise AssertionError(repr(answer))
        return answer.json

    def lease(self, **options):
        """Waits for one job."""
        answer = self.poll(**{"wait_s": 20, **options})
        if not answer or not answer.get("leases"):
            raise AssertionError(f"no lease: {answer}")
        return answer["leases"][0]

    def write(self, job, verb, epoch, body=None, query=""):
        """POST /v1/jobs/{job}/{verb} with the lease's epoch."""
        return self.world.call("POST", f"/v1/jobs/{job}/{verb}{query}", body, token=self.access,
                               headers={"Consign-Lease": str(epoch)})

    def finish(self, lease, outcome="succeeded", **more):
        """Starts and completes."""
        for verb, body in (("start", None), ("complete", {"outcome": outcome, **more})):
            answer = self.write(lease["job"], verb, lease["epoch"], body)
            if answer.status >= 300:
                raise AssertionError(f"{verb}: {answer!r}")

