"""Who may do what in the vendor registry: the Docker token flow, its scopes, and tokens that are not what they seem."""
import base64
import hashlib
import hmac
import json
import subprocess
import time
import urllib.parse

from integration.harness import Case, main, request
from integration.raw_agent import Key, RawAgent, b64url
from integration.registry import OCI_IMAGE, ask_token, basic, bearer, digest

BLOB = b"a blob"
MANIFEST = json.dumps({"schemaVersion": 2, "mediaType": OCI_IMAGE, "layers": [], "config": {
    "mediaType": "application/vnd.oci.empty.v1+json", "digest": digest(BLOB), "size": len(BLOB)}}).encode()


def claims_of(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def access_of(token):
    """{repository: {actions}}, and whether it may see the catalog."""
    claims = claims_of(token)
    return {entry["repository"]: set(entry["actions"]) for entry in claims["access"]}, claims.get("catalog", False)


class Registry(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        w = cls.world
        w.ims()
        cls.users = {role: w.user(role) for role in ("viewer", "ci", "operator")} | {"owner": w.token}
        everything = bearer(w, *(f"repository:{name}:*" for name in ("shop/web", "shop/db")))
        for name in ("shop/web", "shop/db"):
            w.api("POST", f"/v2/{name}/blobs/uploads/?digest={digest(BLOB)}", BLOB, token=everything)
            w.api("PUT", f"/v2/{name}/manifests/v1", MANIFEST, token=everything, headers={"Content-Type": OCI_IMAGE})

    def refused(self, answer, status, code):
        self.assertEqual((answer.status, answer.json["errors"][0]["code"]), (status, code), answer)
        self.assertEqual(answer.headers["Content-Type"], "application/json")
        return answer

    def form(self, **fields):
        return request(self.world.url + "/v2/token", "POST", urllib.parse.urlencode(fields).encode(),
                       {"Content-Type": "application/x-www-form-urlencoded"})


class Login(Registry):
    def test_as_docker_login_does(self):
        w = self.world
        challenge = request(w.url + "/v2/")
        self.refused(challenge, 401, "UNAUTHORIZED")
        self.assertEqual(challenge.headers["Docker-Distribution-Api-Version"], "registry/2.0")
        self.assertEqual(challenge.headers["WWW-Authenticate"], f'Bearer realm="{w.url}/v2/token",service="consign"')
        answer = ask_token(w, query="&account=docker&client_id=docker&offline_token=true")
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.headers["Cache-Control"], "no-store")
        self.assertEqual(answer.json["token"], answer.json["access_token"])
        self.assertGreaterEqual(answer.json["expires_in"], 60)
        self.assertRegex(answer.json["issued_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")
        self.assertEqual(access_of(answer.json["token"]), ({}, False), "asked for nothing")
        self.assertEqual(w.call("GET", "/v2/", token=answer.json["token"]).status, 200)
        self.assertEqual(json.loads(base64.urlsafe_b64decode(answer.json["token"].split(".")[0] + "=="))["alg"], "ES256")

    def test_wrong_credentials_get_no_token(self):
        w = self.world
        for why, headers in {"none": {}, "unknown": basic("cst_unknown"), "empty": basic(""), "no colon": {
                "Authorization": "Basic " + base64.b64encode(b"x").decode()}, "nonsense": {"Authorization": "Basic %%%"},
                "the token as bearer": {"Authorization": f"Bearer {w.token}"}}.items():
            with self.subTest(why=why):
                answer = self.refused(request(w.url + "/v2/token?service=consign", headers=headers), 401, "UNAUTHORIZED")
                self.assertEqual(answer.headers["WWW-Authenticate"], 'Basic realm="consign"')

    def test_nobody_reads_without_a_token_and_basic_is_for_the_token_service_only(self):
        w = self.world
        for path in ("", "shop/web/manifests/v1", f"shop/web/blobs/{digest(BLOB)}", "shop/web/tags/list", "_catalog", "what/ever"):
            for headers in ({}, basic(w.token), {"Authorization": f"Bearer {w.token}"}, {"Authorization": "Bearer"}, {"Authorization": "x"}):
                with self.subTest(path=path, headers=str(headers)[:30]):
                    answer = self.refused(request(f"{w.url}/v2/{path}", headers=headers), 401, "UNAUTHORIZED")
                    self.assertTrue(answer.headers["WWW-Authenticate"].startswith("Bearer realm="))

    def test_a_revoked_user_is_out_at_once(self):
        w = self.world
        made = w.api("POST", "/v1/tokens", {"name": "leaving", "role": "ci"}).json
        token = bearer(w, "repository:shop/web:pull", secret=made["token"])
        self.assertEqual(w.call("GET", "/v2/shop/web/tags/list", token=token).status, 200)
        w.api("DELETE", f"/v1/tokens/{made['id']}")
        self.refused(w.call("GET", "/v2/shop/web/tags/list", token=token), 401, "UNAUTHORIZED")
        self.refused(ask_token(w, secret=made["token"]), 401, "UNAUTHORIZED")

    def test_the_service_must_be_this_one(self):
        w = self.world
        self.refused(request(w.url + "/v2/token?service=other", headers=basic(w.token)), 400, "UNSUPPORTED")
        self.assertEqual(request(w.url + "/v2/token", headers=basic(w.token)).status, 200)
        for verb in ("PUT", "DELETE", "PATCH"):
            self.assertEqual(self.refused(w.call(verb, "/v2/token", headers=basic(w.token), token=None), 405, "UNSUPPORTED").headers["Allow"], "GET, POST")


class Scopes(Registry):
    def test_a_token_has_what_was_asked_for_and_is_allowed(self):
        pull, push, delete = {"pull"}, {"pull", "push"}, {"pull", "push", "delete"}
        rows = (
            ("viewer", ["repository:shop/web:pull"], {"shop/web": pull}, False),
            ("viewer", ["repository:shop/web:pull,push"], {"shop/web": pull}, False),
            ("viewer", ["repository:shop/web:push"], {}, False),
            ("viewer", ["repository:shop/web:*"], {"shop/web": pull}, False),
            ("viewer", ["registry:catalog:*"], {}, False),
            ("ci", ["repository:shop/web:pull,push,delete"], {"shop/web": push}, False),
            ("ci", ["registry:catalog:*"], {}, False),
            ("operator", ["repository:shop/web:*"], {"shop/web": delete}, False),
            ("operator", ["registry:catalog:*"], {}, True),
            ("owner", ["repository:a:pull", "repository:b:pull,push"], {"a": pull, "b": push}, False),
            ("owner", ["repository:a:pull repository:b:push"], {"a": pull, "b": {"push"}}, False),
            ("owner", ["repository:a:pull", "repository:a:push"], {"a": push}, False),
            ("owner", ["repository:a:pull registry:catalog:*"], {"a": pull}, True),
            ("owner", ["repository(plugin):a:pull"], {"a": pull}, False),
            ("owner", [], {}, False),
            # None of these is a scope of this registry: they give nothing, and are no error.
            ("owner", ["", " ", ":", "::", "a", "repository", "repository:a", "repository::pull", "repository:*:pull", "repository:A:pull",
                       "repository:a/../b:pull", "repository:host:5000/a:pull", "repository:a:", "repository:a:fly", "registry:other:*",
                       "plugin:a:pull", "repository:a,b:pull", "repository:a:pull:push"], {}, False),
        )
        for role, scopes, access, catalog in rows:
            with self.subTest(role=role, scopes=scopes):
                answer = ask_token(self.world, *scopes, secret=self.users[role])
                self.assertEqual(answer.status, 200, answer)
                self.assertEqual(access_of(answer.json["token"]), (access, catalog))

    def test_a_thousand_scopes_make_a_token_that_can_be_used(self):
        many = " ".join(f"repository:{'x' * 200}{number}:pull" for number in range(200))
        answer = self.form(grant_type="password", username="x", password=self.world.token, service="consign", scope=many)
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(self.world.call("GET", "/v2/", token=answer.json["access_token"]).status, 200)
        self.assertGreater(len(claims_of(answer.json["access_token"])["access"]), 10)
        self.assertEqual(self.form(grant_type="password", password=self.world.token, scope="x" * 70_000).status, 413)

    def test_every_request_needs_its_right(self):
        w, blob = self.world, digest(BLOB)
        rows = (
            ("GET", "/v2/shop/web/manifests/v1", "pull"), ("HEAD", "/v2/shop/web/manifests/v1", "pull"), ("GET", f"/v2/shop/web/blobs/{blob}", "pull"),
            ("GET", "/v2/shop/web/tags/list", "pull"), ("GET", f"/v2/shop/web/referrers/{blob}", "pull"), ("POST", "/v2/shop/web/blobs/uploads/", "push"),
            ("PATCH", f"/v2/shop/web/blobs/uploads/{'0' * 32}", "push"), ("PUT", f"/v2/shop/web/blobs/uploads/{'0' * 32}?digest={blob}", "push"),
            ("GET", f"/v2/shop/web/blobs/uploads/{'0' * 32}", "push"), ("DELETE", f"/v2/shop/web/blobs/uploads/{'0' * 32}", "push"),
            ("PUT", "/v2/shop/web/manifests/v1", "push"), ("DELETE", "/v2/shop/web/manifests/none", "delete"), ("DELETE", f"/v2/shop/web/blobs/{digest(b'?')}", "delete"))
        tokens = {action: bearer(w, f"repository:shop/web:{action}") for action in ("pull", "push", "delete")}
        elsewhere = bearer(w, "repository:shop/db:*")
        viewer = bearer(w, "repository:shop/web:*", secret=self.users["viewer"])
        for verb, path, needs in rows:
            for action, token in (*tokens.items(), ("elsewhere", elsewhere), ("viewer", viewer)):
                with self.subTest(verb=verb, path=path, token=action):
                    answer = w.call(verb, path, b"{}" if verb in ("PUT", "PATCH") else None, token=token)
                    if action == needs or (action == "viewer" and needs == "pull"):
                        self.assertNotIn(answer.status, (401, 403))
                    elif action == "viewer":
                        self.assertEqual(answer.status, 403, "no token of a viewer can do it")
                    else: # another token could: the client is told what to ask for
                        self.assertEqual(answer.status, 401)
                        scope = "pull,push" if needs == "push" else needs
                        self.assertEqual(answer.headers["WWW-Authenticate"], f'Bearer realm="{w.url}/v2/token",service="consign",'
                                         f'scope="repository:shop/web:{scope}",error="insufficient_scope"')

    def test_the_catalog_is_for_operators(self):
        w = self.world
        for role, status in (("owner", 200), ("operator", 200), ("ci", 403), ("viewer", 403)):
            token = bearer(w, "registry:catalog:*", "repository:shop/web:*", secret=self.users[role])
            with self.subTest(role=role):
                answer = w.call("GET", "/v2/_catalog", token=token)
                self.assertEqual(answer.status, status)
                if status == 200:
                    self.assertLessEqual({"shop/db", "shop/web"}, set(answer.json["repositories"]))
        narrow = w.call("GET", "/v2/_catalog", token=bearer(w, "repository:shop/web:pull"))
        self.assertEqual(self.refused(narrow, 401, "UNAUTHORIZED").headers["WWW-Authenticate"].split(",")[2], 'scope="registry:catalog:*"')

    def test_a_mount_needs_pull_on_its_source(self):
        w, blob = self.world, digest(BLOB)
        mounts = [f"?mount={blob}&from=shop/web", f"?mount={blob}"]
        for number, query in enumerate(mounts):
            target = f"mounted/{number}"
            for scopes in ((f"repository:{target}:pull,push",), (f"repository:{target}:pull,push", "repository:shop/web:push")):
                answer = w.call("POST", f"/v2/{target}/blobs/uploads/{query}", b"", token=bearer(w, *scopes))
                self.assertEqual(answer.status, 202, "an upload, as if it were not there")
                self.assertTrue(answer.headers["Location"].startswith(f"/v2/{target}/blobs/uploads/"))
                self.assertEqual(w.call("GET", f"/v2/{target}/blobs/{blob}", token=bearer(w, *scopes)).status, 404)
            both = bearer(w, f"repository:{target}:pull,push", "repository:shop/web:pull")
            self.assertEqual(w.call("POST", f"/v2/{target}/blobs/uploads/{query}", b"", token=both).status, 201)
            self.assertEqual(w.call("GET", f"/v2/{target}/blobs/{blob}", token=both).body, BLOB)
        self.refused(w.call("POST", f"/v2/shop/web/blobs/uploads/{mounts[0]}", b"", token=bearer(w, "repository:shop/web:pull")), 401, "UNAUTHORIZED")

    def test_a_blob_is_read_through_a_repository_that_has_it(self):
        w = self.world
        secret = b"only in shop/db"
        w.api("POST", f"/v2/shop/db/blobs/uploads/?digest={digest(secret)}", secret, token=bearer(w, "repository:shop/db:push"))
        token = bearer(w, "repository:shop/web:pull,push")
        for verb in ("GET", "HEAD"):
            self.assertEqual(w.call(verb, f"/v2/shop/web/blobs/{digest(secret)}", token=token).status, 404)
            self.assertEqual(w.call(verb, f"/v2/shop/db/blobs/{digest(secret)}", token=token).status, 401)
        naming = json.loads(MANIFEST)
        naming["layers"] = [{"mediaType": "application/octet-stream", "digest": digest(secret), "size": len(secret)}]
        self.refused(w.call("PUT", "/v2/shop/web/manifests/thief", json.dumps(naming).encode(), token=token, headers={"Content-Type": OCI_IMAGE}),
                     404, "MANIFEST_BLOB_UNKNOWN")

    def test_agents(self):
        w = self.world
        build = RawAgent(w)
        self.assertEqual(access_of(bearer(w, "repository:shop/web:*", secret=build.access)), ({"shop/web": {"pull", "push"}}, False))


class OAuth(Registry):
    def test_password_grant(self):
        answer = self.form(grant_type="password", username="x", password=self.world.token, service="consign", client_id="test",
                           scope="repository:shop/web:pull,push repository:shop/db:pull")
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(access_of(answer.json["access_token"]), ({"shop/web": {"pull", "push"}, "shop/db": {"pull"}}, False))
        self.assertEqual(answer.json["scope"], "repository:shop/web:pull,push repository:shop/db:pull")
        self.assertNotIn("refresh_token", answer.json)

    def test_a_refresh_token_stands_in_for_the_password_and_nothing_else(self):
        w = self.world
        made = w.api("POST", "/v1/tokens", {"name": "refreshing", "role": "ci"}).json
        by_post = self.form(grant_type="password", username="x", password=made["token"], service="consign", access_type="offline")
        by_get = ask_token(w, secret=made["token"], query="&offline_token=true")
        for refresh in (by_post.json["refresh_token"], by_get.json["refresh_token"]):
            self.assertGreater(len(refresh), 40)
            again = self.form(grant_type="refresh_token", refresh_token=refresh, service="consign", scope="repository:shop/web:pull,push,delete")
            self.assertEqual(again.status, 200, again)
            self.assertEqual(access_of(again.json["access_token"]), ({"shop/web": {"pull", "push"}}, False), "as much as its user may")
            self.assertEqual(w.call("GET", "/v2/", token=refresh).status, 401, "it is no access token")
            self.assertEqual(w.call("GET", "/v1/status", token=refresh).status, 401)
            self.refused(request(w.url + "/v2/token", headers=basic(refresh)), 401, "UNAUTHORIZED")
        access = again.json["access_token"]
        self.refused(self.form(grant_type="refresh_token", refresh_token=access), 401, "UNAUTHORIZED")
        w.api("DELETE", f"/v1/tokens/{made['id']}")
        self.refused(self.form(grant_type="refresh_token", refresh_token=refresh), 401, "UNAUTHORIZED")

    def test_agents_get_no_refresh_token(self):
        agent = RawAgent(self.world)
        answer = ask_token(self.world, secret=agent.access, query="&offline_token=true")
        self.assertEqual(answer.status, 200, answer)
        self.assertNotIn("refresh_token", answer.json)

    def test_what_is_no_grant(self):
        w = self.world
        self.refused(self.form(grant_type="authorization_code", code="x"), 400, "UNSUPPORTED")
        self.refused(self.form(grant_type="password", username="x", password="wrong"), 401, "UNAUTHORIZED")
        self.refused(self.form(grant_type="password", username="x"), 401, "UNAUTHORIZED")
        self.refused(self.form(), 401, "UNAUTHORIZED")
        posted = request(w.url + "/v2/token?service=consign&scope=repository:shop/web:pull", "POST", b"", basic(w.token))
        self.assertEqual(access_of(posted.json["token"])[0], {"shop/web": {"pull"}}, "POST with Basic")


class Forged(Registry):
    """Tokens made with what an attacker may have, and some that only the IMS could make."""

    def test_only_a_token_for_the_registry_that_the_ims_signed_and_that_has_not_run_out_is_good(self):
        w = self.world
        good = bearer(w, "repository:shop/web:*")
        header, payload, signature = good.split(".")
        claims = claims_of(good)
        key = Key.__new__(Key)
        key.file = w.dir / "ims" / "keys" / "token.pem"
        public = subprocess.run(["openssl", "pkey", "-in", key.file, "-pubout"], check=True, capture_output=True).stdout
        now = int(time.time())
        encode = lambda value: b64url(json.dumps(value).encode())  # noqa: E731
        more = encode({**claims, "access": [{"repository": "shop/db", "actions": ["pull"]}]})
        flipped = signature[:10] + ("A" if signature[10] != "A" else "B") + signature[11:]
        parts = f"{encode({'alg': 'HS256', 'typ': 'JWT'})}.{payload}"
        stranger = Key(w.dir)

        def signed(header=None, **changed):
            value = {k: v for k, v in {**claims, **changed}.items() if v is not None}
            return key.jwt(value, header) if header else key.jwt(value)

        rows = {
            "good": (good, 200), "made again": (signed(), 200), "not yet expired": (signed(exp=now + 60), 200),
            "tampered signature": (f"{header}.{payload}.{flipped}", 401), "no signature": (f"{header}.{payload}.", 401),
            "tampered claims": (f"{header}.{more}.{signature}", 401), "two parts": (f"{header}.{payload}", 401), "four parts": (good + ".x", 401),
            "alg none": (f"{encode({'alg': 'none'})}.{payload}.", 401), "alg None with a signature": (f"{encode({'alg': 'None'})}.{payload}.{signature}", 401),
            "HMAC with the public key": (parts + "." + b64url(hmac.new(public, parts.encode(), hashlib.sha256).digest()), 401),
            "another key": (stranger.jwt(claims), 401), "expired": (signed(exp=now - 3600), 401), "issued in the future": (signed(iat=now + 3600), 401),
            "not valid yet": (signed(nbf=now + 3600), 401), "another audience": (signed(aud="consign"), 401), "no audience": (signed(aud=None), 401),
            "audience list": (signed(aud=["registry"]), 401), "a refresh token": (signed(aud="registry-refresh"), 401),
            "unknown user": (signed(user="tok_01J0000000000000000000000X"), 401), "user of nonsense": (signed(user="nobody"), 401),
            "access of another form": (signed(access="repository:shop/web:pull"), 401), "access of nonsense": (signed(access=[{"repository": 1}]), 401),
            "a digest of nonsense": (signed(access=[{"repository": "shop/web", "actions": ["pull"], "only": "sha256:x"}]), 401),
            "nothing": ("", 401), "dots": ("..", 401), "huge": ("x" * 20_000, 401),
        }
        for why, (token, status) in rows.items():
            with self.subTest(why=why):
                self.assertEqual(w.call("GET", "/v2/shop/web/tags/list", token=token).status, status)

    def test_actions_that_nobody_knows_allow_nothing(self):
        w = self.world
        key = Key.__new__(Key)
        key.file = w.dir / "ims" / "keys" / "token.pem"
        claims = claims_of(bearer(w, "repository:shop/web:*"))
        for actions in ([], ["*"], ["PULL"], ["pull "], ["admin"]):
            token = key.jwt({**claims, "access": [{"repository": "shop/web", "actions": actions}]})
            self.assertEqual(w.call("GET", "/v2/shop/web/tags/list", token=token).status, 401)

    def test_a_registry_token_is_no_api_token_and_the_other_way_round(self):
        w = self.world
        self.assertEqual(w.call("GET", "/v1/status", token=bearer(w, "repository:shop/web:*")).status, 401)
        self.assertEqual(w.call("GET", "/v2/shop/web/tags/list", token=RawAgent(w).access).status, 401)


if __name__ == "__main__":
    main()
