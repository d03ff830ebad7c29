"""What the tests of the registry share: digests, media types, tokens."""
import base64
import hashlib
import urllib.parse

OCI_IMAGE = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_IMAGE = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def sha512(data):
    return "sha512:" + hashlib.sha512(data).hexdigest()


def basic(secret, user="anybody"):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()}


def ask_token(world, *scopes, secret="owner", query=""):
    """Whatever the token service answers to a GET."""
    wanted = "&".join(["service=consign", *("scope=" + urllib.parse.quote(scope, "") for scope in scopes)])
    return world.call("GET", f"/v2/token?{wanted}{query}", token=None, headers=basic(world.token if secret == "owner" else secret))


def bearer(world, *scopes, secret="owner"):
    """A registry token for these scopes, or as many of them as the secret is good for."""
    answer = ask_token(world, *scopes, secret=secret)
    if answer.status != 200:
        raise AssertionError(f"no token: {answer!r}")
    return answer.json["token"]
