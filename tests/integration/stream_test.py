"""GET /v1/events and GET /v1/jobs/{id}/logs as server-sent events, read as a browser would, and by curl -N."""
import http.client
import json
import os
import secrets
import sqlite3
import subprocess
import time
import urllib.parse

from integration.apps import component, publish
from integration.harness import Case, main
from integration.raw_agent import RawAgent


class Stream:
    """One open stream. Events come out as WHATWG HTML section 9.2.6 dispatches them."""

    def __init__(self, world, path, last_id=None, token=None, accept="text/event-stream"):
        parts = urllib.parse.urlsplit(world.url)
        self.connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
        headers = {"Authorization": f"Bearer {token or world.token}", "Accept": accept}
        if last_id is not None:
            headers["Last-Event-ID"] = str(last_id)
        self.connection.request("GET", path, headers=headers)
        self.response = self.connection.getresponse()
        self.status, self.headers = self.response.status, self.response.headers
        self.id = self.retry = None

    def next(self):
        """(id, type, data), or None when the stream has ended in order. IncompleteRead when it was cut."""
        kind, data = "message", []
        while True:
            line = self.response.readline()
            if not line:
                return None
            line = line.decode().rstrip("\n")
            if not line:
                if data:
                    return self.id, kind, "\n".join(data)
                continue
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "id":
                self.id = value
            elif name == "event":
                kind = value
            elif name == "data":
                data.append(value)
            elif name == "retry":
                self.retry = int(value)

    def close(self):
        self.response.close()
        self.connection.close()


class Streams(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.world.ims()
        publish(cls.world, cls.world.dir / "app", "app", "1", {"a": component()})

    def open(self, path, **options):
        stream = Stream(self.world, path, **options)
        self.addCleanup(stream.close)
        return stream

    def leased(self):
        """An agent and the lease of a job that it has started."""
        name = f"i{secrets.token_hex(4)}"
        self.world.api("POST", "/v1/installs", {"name": name, "app": "app"})
        agent = RawAgent(self.world, "install", name)
        self.world.deploy(name)
        lease = agent.lease()
        self.assertEqual(agent.write(lease["job"], "start", lease["epoch"]).status, 204)
        return agent, lease

    def append(self, agent, lease, offset, data):
        answer = agent.write(lease["job"], "logs", lease["epoch"], data, f"?offset={offset}")
        self.assertEqual(answer.status, 200, answer)
        return offset + len(data)

    def newest(self):
        return self.world.get("/v1/events?after=-1")["items"][0]["seq"]


class Events(Streams):
    def test_events_come_as_they_happen_in_order_and_once(self):
        start = self.newest()
        stream = self.open(f"/v1/events?after={start}")
        self.assertEqual(stream.status, 200)
        self.assertEqual(stream.headers["Content-Type"], "text/event-stream")
        self.assertEqual(stream.headers["Cache-Control"], "no-store")
        for name in ("one", "two"):
            self.world.api("POST", "/v1/installs", {"name": name, "app": "app"})
            id, kind, data = stream.next()
            event = json.loads(data)
            self.assertEqual((kind, event["kind"], event["install"]), ("message", "install.created", name))
            self.assertEqual(int(id), event["seq"])
        self.assertEqual(stream.retry, 3000)
        listed = self.world.get(f"/v1/events?after={start}")["items"]
        self.assertEqual(json.loads(data), listed[-1], "the same as the blocking query gives")

    def test_last_event_id_goes_on_where_the_reader_was(self):
        start = self.newest()
        for name in ("r1", "r2", "r3"):
            self.world.api("POST", "/v1/installs", {"name": name, "app": "app"})
        first = self.open(f"/v1/events?after={start}")
        id, _, _ = first.next()
        first.close()
        again = self.open("/v1/events?after=0", last_id=id)
        self.assertEqual(json.loads(again.next()[2])["install"], "r2", "Last-Event-ID counts, not the query")
        self.assertEqual(json.loads(again.next()[2])["install"], "r3")

    def test_more_than_one_batch(self):
        stream = self.open("/v1/events")
        seen = []
        while not seen or seen[-1] < self.newest():
            seen.append(int(stream.next()[0]))
        self.assertEqual(seen, [event["seq"] for event in self.world.get("/v1/events")["items"]])

    def test_bad_questions_are_refused_as_problems(self):
        for last in ("x", "-1", "1.5"):
            self.problem(self.world.call("GET", "/v1/events", headers={"Accept": "text/event-stream", "Last-Event-ID": last}),
                         400, "invalid_argument")
        self.problem(self.world.call("GET", "/v1/events", token="cst_x", headers={"Accept": "text/event-stream"}),
                     401, "unauthenticated")
        self.assertEqual(self.world.call("GET", "/v1/events", headers={"Accept": "*/*"}).headers.get_content_type(),
                         "application/json")

    def test_a_stream_ends_when_its_token_is_revoked(self):
        for path in (f"/v1/events?after={10**9}", f"/v1/jobs/{self.leased()[1]['job']}/logs"):
            made = self.world.api("POST", "/v1/tokens", {"name": "short", "role": "viewer"}).json
            stream = self.open(path, token=made["token"])
            self.assertEqual(stream.status, 200)
            self.world.api("DELETE", f"/v1/tokens/{made['id']}")
            self.assertIsNone(stream.next(), "it ends, in order")
            self.assertEqual(Stream(self.world, path, token=made["token"]).status, 401, "and is not taken up again")

    def test_curl_reads_it_line_by_line(self):
        start = self.newest()
        curl = subprocess.Popen(["curl", "-sN", "-H", f"Authorization: Bearer {self.world.token}", "-H", "Accept: text/event-stream",
                                 f"{self.world.url}/v1/events?after={start}"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(curl.stdout.close)
        self.addCleanup(curl.wait)
        self.addCleanup(curl.kill)
        self.assertEqual([curl.stdout.readline() for _ in range(2)], ["retry: 3000\n", "\n"])
        self.world.api("POST", "/v1/installs", {"name": "curled", "app": "app"})
        lines = [curl.stdout.readline() for _ in range(3)]
        self.assertEqual((lines[0], lines[2]), (f"id: {start + 1}\n", "\n"))
        self.assertIn('"install":"curled"', lines[1])


class Logs(Streams):
    def test_a_log_streams_while_it_grows_and_says_when_it_ends(self):
        agent, lease = self.leased()
        stream = self.open(f"/v1/jobs/{lease['job']}/logs")
        at = self.append(agent, lease, 0, b"first\nsecond\n")
        self.assertEqual(stream.next(), ("13", "message", "first\nsecond\n"))
        at = self.append(agent, lease, at, b"\n\ndata: not a field\n")
        self.assertEqual(stream.next(), (str(at), "message", "\n\ndata: not a field\n"))
        agent.write(lease["job"], "complete", lease["epoch"], {"outcome": "succeeded"})
        self.assertEqual(stream.next(), (str(at), "end", "succeeded"))
        self.assertIsNone(stream.next())

    def test_a_reader_that_comes_back(self):
        agent, lease = self.leased()
        path = f"/v1/jobs/{lease['job']}/logs"
        at = self.append(agent, lease, 0, b"one\n")
        self.append(agent, lease, at, b"two\n")
        agent.write(lease["job"], "complete", lease["epoch"], {"outcome": "failed", "error": "x"})
        resumed = self.open(path, last_id=at)
        self.assertEqual(resumed.next(), ("8", "message", "two\n"))
        self.assertEqual(resumed.next(), ("8", "end", "failed"))
        self.assertIsNone(resumed.next())
        self.assertEqual(self.open(path, last_id=8).status, 204, "an EventSource stops for good at 204")
        self.assertEqual(self.open(f"{path}?offset=4").next(), ("8", "message", "two\n"))

    def test_pieces_are_cut_between_characters(self):
        agent, lease = self.leased()
        stream = self.open(f"/v1/jobs/{lease['job']}/logs")
        text = "gr\u00fc\u00df \U0001f600\r\n".encode()
        got, at = "", 0
        for byte in text:  # the worst way an agent can cut
            at = self.append(agent, lease, at, bytes([byte]))
        self.append(agent, lease, at, b".")
        while not got.endswith("."):
            got += stream.next()[2]
        self.assertEqual(got, "gr\u00fc\u00df \U0001f600\n.")

    def test_a_large_log_comes_whole(self):
        agent, lease = self.leased()
        text = b"".join(b"line %d\n" % i for i in range(120_000))
        for at in range(0, len(text), 1 << 20):
            self.append(agent, lease, at, text[at:at + (1 << 20)])
        agent.write(lease["job"], "complete", lease["epoch"], {"outcome": "succeeded"})
        stream, got = self.open(f"/v1/jobs/{lease['job']}/logs"), []
        while (event := stream.next()) and event[1] == "message":
            got.append(event[2])
        self.assertEqual("".join(got).encode(), text)
        self.assertEqual(event[1:], ("end", "succeeded"))

    def test_the_end_is_told_whoever_brings_it(self):
        """A job that is cancelled while it waits ends without its agent."""
        name = f"i{secrets.token_hex(4)}"
        self.world.api("POST", "/v1/installs", {"name": name, "app": "app"})
        job = self.world.deploy(name)["jobs"][0]["id"]
        stream = self.open(f"/v1/jobs/{job}/logs")
        self.world.api("POST", f"/v1/jobs/{job}/cancel")
        self.assertEqual(stream.next(), ("0", "end", "cancelled"))

    def test_no_such_job(self):
        self.problem(self.world.call("GET", "/v1/jobs/job_01ARZ3NDEKTSV4RRFFQ69G5FAV/logs", headers={"Accept": "text/event-stream"}),
                     404, "not_found")


class Many(Case):
    def test_streams_cost_no_thread_and_end_in_order_with_the_server(self):
        ims = self.world.ims()
        threads = lambda: len(os.listdir(f"/proc/{ims.pid}/task"))  # noqa: E731
        before = threads()
        streams = [Stream(self.world, "/v1/events?after=0") for _ in range(200)]
        for stream in streams:
            self.addCleanup(stream.close)
            self.assertEqual(stream.status, 200)
        self.assertEqual(threads(), before)
        self.world.api("POST", "/v1/agents/enroll-token", {})  # others are served as ever
        ims.terminate()
        for stream in streams:
            self.assertIsNone(stream.next(), "it ends with its last chunk, it is not cut")
        self.assertEqual(ims.wait(), 0)

    def test_a_stream_ends_when_its_token_runs_out(self):
        ims = self.world.ims(data="expiring")
        made = self.world.api("POST", "/v1/tokens", {"name": "short", "role": "viewer", "ttl_days": 1}).json
        ims.terminate()
        ims.wait()
        # No interface makes a token of seconds: the clock's hand is in the store.
        soon = int((time.time() + 3) * 1000)
        with sqlite3.connect(self.world.dir / "expiring" / "ims.db") as db:
            db.execute("UPDATE user_tokens SET expires_at=? WHERE id=?", (soon, made["id"]))
        db.close()
        self.world.ims(data="expiring")
        stream = Stream(self.world, "/v1/events?after=1000000", token=made["token"])
        self.addCleanup(stream.close)
        self.assertEqual(stream.status, 200)
        self.assertIsNone(stream.next())
        self.assertGreaterEqual(time.time() * 1000, soon, "not before its time")


if __name__ == "__main__":
    main()
