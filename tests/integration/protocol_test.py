"""The agent protocol of docs/protocol.md, spoken by an agent of our own that can misbehave."""
import secrets
import sqlite3
import threading
import time

from integration.apps import component, publish
from integration.harness import Case, eventually, main
from integration.raw_agent import Key, RawAgent, exchange, session_id


class Protocol(Case):
    """An install agent of our own, for an app of one component."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        w = cls.world
        w.ims("--lease-s", "5")
        publish(w, w.dir / "app", "app", "1", {"a": component()})

    def install(self):
        """A fresh install and its agent."""
        name = f"i{secrets.token_hex(4)}"
        self.world.api("POST", "/v1/installs", {"name": name, "app": "app"})
        return name, RawAgent(self.world, "install", name)

    def leased(self):
        """An agent with the lease of one queued job."""
        name, agent = self.install()
        self.world.deploy(name)
        return agent, agent.lease()

    def in_background(self, work):
        box = {}

        def run():
            try:
                box["value"] = work()
            except BaseException as error:  # noqa: BLE001 - it is raised again where the result is asked for
                box["error"] = error

        thread = threading.Thread(target=run, daemon=True)
        thread.start()

        def result(within_s=30):
            thread.join(within_s)
            self.assertFalse(thread.is_alive(), "no answer")
            if "error" in box:
                raise box["error"]
            return box["value"]

        return result

    def parked(self, count):
        """Until so many polls are parked."""
        metrics = lambda: self.world.call("GET", "/metrics").body.decode()  # noqa: E731
        eventually(lambda: f"\nconsign_polls_parked {count}\n" in metrics(), f"{count} polls are parked")


class Enrolment(Protocol):
    def test_a_token_works_once(self):
        token = self.world.api("POST", "/v1/agents/enroll-token", {}).json["token"]
        RawAgent(self.world, "build", token=token)
        again = RawAgent.enroll(self.world, token, "build", Key(self.world.dir))
        self.assertIn("used already", self.problem(again, 401, "unauthenticated")["detail"])

    def test_a_token_is_for_one_kind(self):
        token = self.world.api("POST", "/v1/agents/enroll-token", {}).json["token"]
        wrong = RawAgent.enroll(self.world, token, "install", Key(self.world.dir))
        self.assertIn("build agent", self.problem(wrong, 400, "invalid_argument")["detail"])
        RawAgent(self.world, "build", token=token)  # the refusal did not burn it

    def test_a_token_expires(self):
        w = self.world
        self.problem(w.call("POST", "/v1/agents/enroll-token", {"ttl_s": 59}), 400, "invalid_argument")
        token = w.api("POST", "/v1/agents/enroll-token", {"ttl_s": 60}).json["token"]
        # Nobody waits a minute: the row is aged behind the server's back, as only a test may.
        with sqlite3.connect(w.dir / "ims" / "ims.db", timeout=30) as database:
            database.execute("UPDATE enroll_tokens SET expires_at = expires_at - 3600000 WHERE used_by IS NULL")
        database.close()
        refused = RawAgent.enroll(w, token, "build", Key(w.dir))
        self.assertIn("expired", self.problem(refused, 401, "unauthenticated")["detail"])

    def test_an_unknown_token_and_a_bad_key(self):
        w = self.world
        self.problem(RawAgent.enroll(w, "cet_" + "A" * 43, "build", Key(w.dir)), 401, "unauthenticated")
        token = w.api("POST", "/v1/agents/enroll-token", {}).json["token"]
        bad = w.call("POST", "/v1/agents/enroll", {"token": token, "public_key": "-----BEGIN NONSENSE-----", "kind": "build",
                                                   "version": "t", "hostname": "h"}, token=None)
        self.problem(bad, 400, "invalid_argument")
        RawAgent(w, "build", token=token)

    def test_a_second_agent_of_an_install_replaces_the_first(self):
        name, first = self.install()
        second = RawAgent(self.world, "install", name)
        refused = first.poll_answer()
        self.assertIn("revoked", self.problem(refused, 401, "unauthenticated")["detail"])
        self.assertIsNone(second.poll())


class Assertions(Protocol):
    def refused(self, agent, claims=None, jwt=None):
        answer = exchange(self.world, jwt or agent.key.jwt(claims))
        return self.problem(answer, 401, "unauthenticated")["detail"]

    def test_an_assertion_is_good_once(self):
        _, agent = self.install()
        jwt = agent.key.jwt(agent.claims())
        self.assertEqual(exchange(self.world, jwt).status, 200)
        self.assertIn("used before", self.refused(agent, jwt=jwt))

    def test_an_assertion_is_for_this_server_and_from_this_agent(self):
        _, agent = self.install()
        _, other = self.install()
        self.assertIn("another server", self.refused(agent, agent.claims(aud="ims_01ARZ3NDEKTSV4RRFFQ69G5FAV")))
        self.assertIn("signature", self.refused(agent, jwt=other.key.jwt(agent.claims())))
        self.assertIn("algorithm", self.refused(agent, jwt=agent.key.jwt(agent.claims(), {"alg": "none"})))
        self.assertIn("jti", self.refused(agent, agent.claims(jti="short")))
        self.assertIn("exp", self.refused(agent, agent.claims(exp=int(time.time()) + 86400)))

    def test_a_wrong_clock_is_named(self):
        _, agent = self.install()
        now = int(time.time())
        for off, said in ((3600, r"(1 h|59 min|60 min) ahead of"), (-3600, r"(1 h|60 min) behind"), (-200, "3 min behind")):
            with self.subTest(off=off):
                answer = exchange(self.world, agent.key.jwt(agent.claims(iat=now + off, exp=now + off + 60)))
                problem = self.problem(answer, 401, "unauthenticated")
                self.assertRegex(problem["detail"], f"^the agent's clock is {said} this server's$")
                self.assertIn("NTP", problem["hint"])
        stranger = Key(self.world.dir)
        self.assertIn("signature", self.refused(agent, jwt=stranger.jwt(agent.claims(iat=now - 3600, exp=now - 3540))),
                      "whoever is not the agent learns nothing about clocks")
        slightly = agent.key.jwt(agent.claims(iat=now + 30, exp=now + 90))
        self.assertEqual(exchange(self.world, slightly).status, 200, "a minute apart is tolerated")

    def test_a_revoked_agent_is_out_at_once(self):
        _, agent = self.install()
        waiting = self.in_background(lambda: agent.poll_answer(wait_s=50))
        self.parked(1)
        self.world.consign("agent", "revoke", agent.id)
        self.problem(waiting(), 401, "unauthenticated")
        self.assertIn("revoked", self.refused(agent, agent.claims()))


class Polls(Protocol):
    def test_nothing_to_do_is_204(self):
        _, agent = self.install()
        answer = agent.poll_answer()
        self.assertEqual((answer.status, answer.body), (204, b""))

    def test_a_parked_poll_wakes_for_a_job_made_meanwhile(self):
        name, agent = self.install()
        waiting = self.in_background(lambda: agent.poll(wait_s=50))
        self.parked(1)
        started = time.monotonic()
        job = self.world.deploy(name)["jobs"][0]["id"]
        answer = waiting()
        self.assertLess(time.monotonic() - started, 25, "woken, not timed out")
        [lease] = answer["leases"]
        wanted = {"job": job, "kind": "apply", "attempt": 1, "epoch": 1, "log_offset": 0}
        self.assertEqual({name: lease[name] for name in wanted}, wanted)
        self.assertEqual(lease["spec"]["install_name"], name)
        self.assertEqual(answer["next"]["renew_s"], 1)
        self.assertEqual(self.world.job(job)["agent"], agent.id)

    def test_no_slot_no_job(self):
        name, agent = self.install()
        self.world.deploy(name)
        self.assertIsNone(agent.poll(slots=0))
        self.assertEqual(len(agent.poll(slots=1)["leases"]), 1)

    def test_a_newer_session_takes_over(self):
        name, agent = self.install()
        old = agent.session
        waiting = self.in_background(lambda: agent.poll_answer(session=old, wait_s=50))
        self.parked(1)
        new = session_id()
        self.assertEqual(agent.poll_answer(session=new).status, 204)
        self.problem(waiting(), 409, "session_superseded")
        self.world.deploy(name)
        self.problem(agent.poll_answer(session=old), 409, "session_superseded")
        self.assertEqual(len(agent.poll(session=new)["leases"]), 1, "the work goes to the new one")

    def test_a_cancel_reaches_a_parked_poll(self):
        agent, lease = self.leased()
        agent.write(lease["job"], "start", lease["epoch"])
        waiting = self.in_background(lambda: agent.poll(slots=0, running=[(lease["job"], lease["epoch"])], wait_s=50))
        self.parked(1)
        self.world.consign("job", "cancel", lease["job"])
        self.assertEqual(waiting()["cancel"], [lease["job"]])
        agent.write(lease["job"], "complete", lease["epoch"], {"outcome": "cancelled"})
        self.assertEqual(self.world.job(lease["job"])["state"], "cancelled")

    def test_a_queued_job_is_cancelled_at_once(self):
        name, agent = self.install()
        job = self.world.deploy(name)["jobs"][0]["id"]
        self.assertEqual(self.world.json("job", "cancel", job)["state"], "cancelled")
        self.assertIsNone(agent.poll(), "nobody gets it")
        self.world.consign("job", "cancel", job, expect=5)

    def test_the_event_stream_parks_and_wakes(self):
        w = self.world
        name, _ = self.install()
        newest = w.get("/v1/events?after=0")["items"][-1]["seq"]
        while page := w.get(f"/v1/events?after={newest}")["items"]:
            newest = page[-1]["seq"]
        waiting = self.in_background(lambda: w.get(f"/v1/events?after={newest}&wait=50"))
        time.sleep(0.2)  # not needed for the result, only to find it parked most of the time
        deploy = w.deploy(name)
        events = waiting()["items"]
        self.assertTrue(all(event["seq"] > newest for event in events))
        self.assertIn(deploy["id"], {event.get("deploy") for event in events})
        self.assertEqual(w.get(f"/v1/events?after={newest}&wait=50")["items"][0], events[0], "nothing is lost by asking again")


class Goodbyes(Protocol):
    def agent_view(self, id):
        return next(agent for agent in self.world.get("/v1/agents")["items"] if agent["id"] == id)

    def test_an_agent_that_leaves_is_offline_at_once(self):
        name, agent = self.install()
        agent.poll(slots=0)
        self.assertTrue(self.agent_view(agent.id)["online"])
        job = self.world.deploy(name)["jobs"][0]["id"]
        self.assertIn("a free slot", self.world.job(job)["waiting_for"]["what"])
        leaving = self.world.call("POST", "/v1/agent/poll", {"session": agent.session, "slots": 3, "wait_s": 50, "leaving": True},
                                  token=agent.access)
        self.assertEqual(leaving.status, 204, "no work, and no waiting")
        self.assertFalse(self.agent_view(agent.id)["online"])
        self.assertFalse(self.world.get(f"/v1/installs/{name}")["agent_online"])
        self.assertRegex(self.world.job(job)["waiting_for"]["what"], f"the install agent of {name}: stopped .* ago")
        agent.lease()
        self.assertTrue(self.agent_view(agent.id)["online"], "it is back")

    def test_ours_says_goodbye(self):
        process = self.world.build_agent("leaving")
        online = lambda: [a["id"] for a in self.world.get("/v1/agents")["items"] if a["kind"] == "build" and a["online"]]  # noqa: E731
        mine = set(online())
        process.terminate()
        self.assertEqual(process.wait(), 0)
        self.assertEqual(len(mine - set(online())), 1)


class Leases(Protocol):
    def test_every_write_of_a_stale_epoch_is_refused(self):
        agent, old = self.leased()
        job = old["job"]
        self.assertEqual(agent.write(job, "start", old["epoch"]).status, 204)
        agent.poll(slots=0)  # does not list it: taken back
        new = agent.lease()
        self.assertEqual((new["job"], new["epoch"], new["attempt"]), (job, old["epoch"] + 1, 2))
        agent.write(job, "start", new["epoch"])
        before = self.world.job(job)
        step = {"steps": [{"seq": 1, "name": "x", "state": "running", "at": "2026-01-01T00:00:00Z"}]}
        for verb, body, query in (("start", None, ""), ("renew", None, ""), ("steps", step, ""), ("logs", b"lies\n", "?offset=0"),
                                  ("outputs", {"a": 1}, ""), ("complete", {"outcome": "succeeded"}, ""),
                                  ("pull-token", None, "")):
            for epoch in (old["epoch"], new["epoch"] + 1):
                with self.subTest(verb=verb, epoch=epoch):
                    self.problem(agent.write(job, verb, epoch, body, query), 409, "lease_lost")
        self.problem(agent.write(job, "start", "soon"), 400, "invalid_argument")
        self.assertEqual(self.world.job(job), before, "and none of them changed a thing")
        self.assertEqual(self.world.call("GET", f"/v1/jobs/{job}/logs").body, b"")
        agent.finish(new)
        self.assertEqual(self.world.job(job)["state"], "succeeded")

    def test_what_was_never_started_is_no_attempt(self):
        agent, old = self.leased()
        agent.poll(slots=0)
        new = agent.lease()
        self.assertEqual((new["job"], new["epoch"], new["attempt"]), (old["job"], 2, 1))

    def test_a_poll_renews_what_it_lists_and_a_silent_agent_loses_its_lease(self):
        agent, lease = self.leased()
        job = lease["job"]
        agent.write(job, "start", lease["epoch"])
        until = time.monotonic() + 7  # longer than the lease of 5 s
        while time.monotonic() < until:
            self.assertIsNone(agent.poll(slots=0, running=[(job, lease["epoch"])], wait_s=1))
        self.assertEqual(self.world.job(job)["state"], "running")
        renewed = agent.write(job, "renew", lease["epoch"]).json
        self.assertGreater(renewed["deadline"], lease["deadline"])
        view = self.world.await_job(job, "queued")  # silence
        self.assertEqual(view["attempt"], 1)
        lost = agent.poll(slots=0, running=[(job, lease["epoch"])])
        self.assertEqual(lost["lost"], [job], "the next poll tells that it is gone")
        self.problem(agent.write(job, "renew", lease["epoch"]), 409, "lease_lost")
        self.assertEqual(agent.lease()["epoch"], lease["epoch"] + 1)

    def test_the_third_lost_attempt_is_the_last(self):
        agent, lease = self.leased()
        for attempt in (1, 2, 3):
            self.assertEqual(lease["attempt"], attempt)
            agent.write(lease["job"], "start", lease["epoch"])
            agent.poll(slots=0)
            lease = agent.lease() if attempt < 3 else lease
        view = self.world.job(lease["job"])
        self.assertEqual(view["state"], "failed")
        self.assertIn("agent_lost", view["error"])
        self.assertEqual(self.world.json("job", "retry", lease["job"])["state"], "queued")

    def test_logs_are_stored_exactly_once_and_in_order(self):
        agent, lease = self.leased()
        job, epoch = lease["job"], lease["epoch"]
        agent.write(job, "start", epoch)
        send = lambda offset, data: agent.write(job, "logs", epoch, data, f"?offset={offset}")  # noqa: E731
        self.assertEqual(send(0, b"one\n").json, {"expected_offset": 4})
        again = send(0, b"one\n")
        self.assertEqual((again.status, again.json["expected_offset"]), (409, 4), "a repeated piece is not stored twice")
        ahead = send(10, b"three\n")
        self.assertEqual((ahead.status, ahead.json["expected_offset"]), (409, 4), "no gap")
        self.assertEqual(send(4, b"two \xff\n").json, {"expected_offset": 10})
        self.problem(agent.write(job, "logs", epoch, b"x"), 400, "invalid_argument")
        agent.poll(slots=0)
        new = agent.lease()
        self.assertEqual(new["log_offset"], 10, "the next attempt goes on where this one stopped")
        agent.write(job, "logs", new["epoch"], b"again\n", "?offset=10")
        page = self.world.call("GET", f"/v1/jobs/{job}/logs?offset=2")
        self.assertEqual(page.body, b"e\ntwo \xff\nagain\n")
        self.assertEqual(page.headers["Consign-Log-Offset"], "16")
        self.assertIsNone(page.headers["Consign-Log-End"])
        follow = self.in_background(lambda: self.world.call("GET", f"/v1/jobs/{job}/logs?offset=16&wait=50"))
        agent.finish(new)
        self.assertEqual((follow().body, follow().headers["Consign-Log-End"]), (b"", "true"))

    def test_completing_twice_is_safe_and_final(self):
        agent, lease = self.leased()
        job, epoch = lease["job"], lease["epoch"]
        agent.write(job, "start", epoch)
        body = {"outcome": "failed", "error": "no luck", "result": {"changed": False}}
        self.assertEqual(agent.write(job, "complete", epoch, body).status, 200)
        ended = self.world.job(job)
        self.assertEqual((ended["state"], ended["error"]), ("failed", "no luck"))
        self.assertEqual(agent.write(job, "complete", epoch, body).status, 200, "the answer may have been lost")
        self.problem(agent.write(job, "complete", epoch, {"outcome": "succeeded"}), 409, "lease_lost")
        self.assertEqual(self.world.job(job), ended)

    def test_a_lease_given_back_is_someone_elses(self):
        agent, lease = self.leased()
        agent.write(lease["job"], "start", lease["epoch"])
        agent.write(lease["job"], "complete", lease["epoch"], {"outcome": "given_back", "error": "shutting down"})
        new = agent.lease()
        self.assertEqual((new["job"], new["epoch"], new["attempt"]), (lease["job"], 2, 1), "given back does not count")

    def test_steps_are_shown_and_replaced_by_number(self):
        agent, lease = self.leased()
        agent.write(lease["job"], "start", lease["epoch"])
        report = lambda *steps: agent.write(lease["job"], "steps", lease["epoch"], {"steps": [  # noqa: E731
            {"seq": seq, "name": name, "state": state, "at": "2026-01-01T00:00:00Z"} for seq, name, state in steps]})
        self.assertEqual(report((1, "sync", "running")).status, 204)
        self.assertEqual(report((1, "sync", "succeeded"), (2, "apply", "running")).status, 204)
        agent.write(lease["job"], "complete", lease["epoch"], {"outcome": "failed", "error": "it broke"})
        steps = [(step["seq"], step["name"], step["state"]) for step in self.world.job(lease["job"])["steps"]]
        self.assertEqual(steps, [(1, "sync", "succeeded"), (2, "apply", "failed")], "what was running when it ended, failed")


if __name__ == "__main__":
    main()
