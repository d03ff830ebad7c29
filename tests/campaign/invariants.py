"""What must hold, whatever was killed, cut, filled or moved. Everything is seen from outside: by the API, by the ledger of
the steps, and by the processes that run.

A command of a component can honestly be promised at least once, not exactly once: between its end and the note that it
ended, the agent may be killed. What the design does promise, and is asked for here:

- each attempt runs the step at most once: a job has no more runs than its attempts have been started;
- a job that was started once and succeeded ran it exactly once, to its end;
- no job of an agent that no fault touched, while none touched the IMS, is started twice;
- two runs for one component never overlap, unless the agent was killed (-9) while the earlier one ran: its commands are
  not its service, and nobody ends them. These are counted, not excused: see `orphans`;
- no run begins after the IMS accepted the completion of its job.

A log is a prefix of what each run wrote, without a gap, a repetition or a change of order; and all of it, if the attempt
that ran it is the one that succeeded."""
import collections
import datetime
import hashlib
import re
import time

from campaign import ledger
from campaign.fleet import APP, BUILDER, IMS, INSTALLS
from campaign.load import TERMINAL
from integration.harness import eventually

WAITING = ("blocked", "queued", "leased", "running")
NEXT = {  # docs/architecture.md, "The job state machine", as far as anything leads there
    "blocked": {"queued", "skipped", "cancelled"},
    "queued": {"leased", "cancelled"},
    "leased": {"running", "queued", "failed", "cancelled"},
    "running": {"succeeded", "failed", "timed_out", "cancelled", "queued"},
}
SETTLE_S = 75  # the longest pause of an agent that met faults (30 s), its lease, and the work itself
LINE = re.compile(r"<([0-9a-f]{8}) (\d+)/(\d+)>")
VARYING = re.compile(r"\b(\d[\d.]*|\w+_[0-9A-Z]{26})\b|(?<=/ledger/).*?(?=')")
PREPARED = re.compile(r"^(using the release directory that is here: |unpacked to )", re.M)


def seconds(text):
    return datetime.datetime.fromisoformat(text).timestamp()


class History:
    """Of one job, as the events tell it."""

    def __init__(self):
        self.state, self.leases, self.starts = "blocked", 0, 0


class Invariants:
    def __init__(self, fleet, load):
        self.fleet, self.load = fleet, load
        self.events, self.newest, self.digest = {}, 0, hashlib.sha256()
        self.histories, self.jobs, self.frozen, self.runs_of = {}, {}, {}, {}
        self.epochs, self.tickets, self.job_of_run = {}, {}, {}
        self.checked_deploys, self.broken, self.orphans, self.settled_s = set(), [], [], []
        self.counts, self.failures = collections.Counter(), collections.Counter()
        self.honest_time, self.touched = True, set()

    def wrong(self, what):
        self.broken.append(what)

    # The end of a round

    def settle(self):
        """Waits until nothing waits or runs."""
        started = time.monotonic()

        def live():
            return [job for state in WAITING for job in self.fleet.get(f"/v1/jobs?state={state}")["items"]]

        def done():
            return not live() and all(worker.is_done(asked) for worker in self.load.workers for asked in worker.live)

        try:
            eventually(done, "every job ends", SETTLE_S)
        except AssertionError:
            for job in live():
                self.wrong(f"job {job['id']} ({job['component']} of {job['install'] if 'install' in job else APP}) is still "
                           f"{job['state']} {SETTLE_S} s after the last fault: {job.get('waiting_for')}")
        self.settled_s.append(time.monotonic() - started)

    def check(self, faults):
        """Once all is settled. `faults`: those since the last check."""
        self.honest_time = not any(fault.what == "clock" for fault in faults)
        self.touched = {name for fault in faults for name in fault.targets}
        self.broken += self.fleet.ended_by_themselves()
        self.follow_events()
        self.acknowledged()
        ended = self.ended_jobs()
        runs = ledger.read(self.fleet.ledger)
        self.logs(ended, {run.id: run for of in runs.values() for run in of})
        self.applies(ended, runs)
        self.overlaps(runs)
        self.frozen_runs(runs)
        for install in INSTALLS:
            self.service(install)

    # The parts of it

    def follow_events(self):
        """All that are new; each job's states follow the table."""
        while items := self.fleet.get(f"/v1/events?after={self.newest}")["items"]:
            for event in items:
                if event["seq"] <= self.newest:
                    self.wrong(f"event {event['seq']} comes after {self.newest}")
                self.newest = event["seq"]
                self.digest.update(repr(sorted(event.items())).encode())
                if "job" in event and event["kind"] not in ("job.step", "job.cancel_requested"):
                    self.changed(event["job"], event["kind"].removeprefix("job."))

    def changed(self, job, state):
        history = self.histories.setdefault(job, History())
        if state not in NEXT.get(history.state, ()):
            self.wrong(f"job {job} went from {history.state} to {state}")
        history.state = state
        history.leases += state == "leased"
        history.starts += state == "running"

    def acknowledged(self):
        """Everything that was acknowledged is there, with the jobs it was acknowledged with."""
        for asked in self.load.acknowledged:
            if asked.id in self.checked_deploys:
                continue
            self.checked_deploys.add(asked.id)
            path = f"/v1/builds/{asked.id}" if asked.kind == "build" else f"/v1/deploys/{asked.id}"
            answer = self.fleet.call("GET", path)
            if answer.status != 200:
                self.wrong(f"{asked.kind} {asked.id} was acknowledged, and now: {answer!r}")
                continue
            view = answer.json
            if view["state"] not in TERMINAL:
                self.wrong(f"{asked.kind} {asked.id} is {view['state']}")
            jobs = {view["component"]: view["job"]} if asked.kind == "build" else {
                job["component"]: job["id"] for job in view["jobs"]}
            if asked.jobs and asked.jobs != jobs:
                self.wrong(f"{asked.kind} {asked.id} was acknowledged with {asked.jobs} and has {jobs}")
            for job in jobs.values():
                if job not in self.histories:
                    self.wrong(f"no event tells of job {job} of {asked.kind} {asked.id}")
                self.tickets[job] = asked
            if asked.kind == "build" and view["state"] == "succeeded":
                component = view["component"]
                if view["artifact"]["digest"] != self.fleet.digests[component]:
                    self.wrong(f"build {asked.id} of the same source is another artifact: {view['artifact']}")

    def ended_jobs(self):
        """The jobs that ended since the last check; their epochs, attempts and states against their events."""
        ended = []
        for job, history in self.histories.items():
            if job in self.frozen:
                continue
            answer = self.fleet.call("GET", f"/v1/jobs/{job}")
            if answer.status != 200:
                self.wrong(f"job {job} had events, and now: {answer!r}")
                continue
            view = answer.json
            if view["epoch"] < self.epochs.get(job, 0):
                self.wrong(f"the epoch of job {job} went from {self.epochs[job]} to {view['epoch']}")
            self.epochs[job] = view["epoch"]
            if view["epoch"] != history.leases:
                self.wrong(f"job {job} has epoch {view['epoch']} after {history.leases} leases")
            if view["attempt"] > view["max_attempts"]:
                self.wrong(f"job {job} had {view['attempt']} attempts")
            if view["state"] != history.state:
                self.wrong(f"job {job} is {view['state']}, and its last event said {history.state}")
            if view["state"] not in TERMINAL:
                continue
            if history.starts > 1 and not self.touched & {IMS, view.get("install") or BUILDER}:
                self.wrong(f"job {job} was started {history.starts} times, and nothing touched its agent or the IMS")
            view["log"] = self.log(job)
            self.frozen[job] = self.fingerprint(view)
            if view["state"] == "failed":
                self.failures[VARYING.sub("…", view["error"].replace(str(self.fleet.dir), ""))[:160]] += 1
            self.counts[f"{view['kind']} {view['state']}"] += 1
            ended.append(view)
        return ended

    def log(self, job):
        text, offset = b"", 0
        while piece := self.fleet.call("GET", f"/v1/jobs/{job}/logs?offset={offset}").body:
            text += piece
            offset += len(piece)
        return text.decode()

    @staticmethod
    def fingerprint(view):
        return view["state"], view["epoch"], view["attempt"], view.get("finished_at"), hashlib.sha256(view["log"].encode()).digest()

    def logs(self, ended, runs):
        for job in ended:
            last, at = {}, None
            for found in LINE.finditer(job["log"]):
                run, n = found[1], int(found[2])
                if run != at and run in last:
                    self.wrong(f"the log of job {job['id']} comes back to run {run}")
                if n != last.get(run, 0) + 1:
                    self.wrong(f"the log of job {job['id']}, run {run}: line {n} after {last.get(run, 0)}")
                if self.job_of_run.setdefault(run, job["id"]) != job["id"]:
                    self.wrong(f"run {run} is in the logs of {job['id']} and {self.job_of_run[run]}")
                if run not in runs:
                    self.wrong(f"the log of job {job['id']} tells of run {run}, which never began")
                last[run], at = n, run
                whole = int(found[3])
            prepared = [found.end() for found in PREPARED.finditer(job["log"])]
            if not at or not prepared or job["state"] != "succeeded":
                continue
            in_last_attempt = job["log"].rfind(f"<{at} ") > prepared[-1]
            if (in_last_attempt or self.histories[job["id"]].starts == 1) and last[at] != whole:
                self.wrong(f"the log of job {job['id']} lacks the end of run {at}: {last[at]} of {whole} lines")

    def applies(self, ended, runs):
        for job in ended:
            asked, history = self.tickets.get(job["id"]), self.histories[job["id"]]
            if job["kind"] != "apply" or not asked:
                continue
            mine = [run for run in runs.get((asked.install, job["component"]), ()) if run.ticket == asked.ticket]
            finished = [run for run in mine if run.ended]
            what = f"job {job['id']} ({job['component']} of {asked.install}, {asked.ticket}, {history.starts} starts): "
            if len(mine) > history.starts:
                self.wrong(f"{what}{len(mine)} runs")
            if job["state"] == "succeeded":
                if not finished:
                    self.wrong(f"{what}it succeeded, and its step never ended")
                if asked.exit:
                    self.wrong(f"{what}it succeeded with a step that fails")
                if history.starts == 1 and (len(mine), len(finished)) != (1, 1):
                    self.wrong(f"{what}{len(mine)} runs in its only attempt")
                if history.starts == 1 and self.job_of_run.get(mine[0].id if mine else None) != job["id"]:
                    self.wrong(f"{what}its log tells nothing of its run")
            accepted = job["state"] in ("succeeded", "timed_out") or (
                job["state"] == "failed" and not job["error"].startswith("agent_lost"))
            if accepted and self.honest_time:
                for run in mine:
                    if run.began > seconds(job["finished_at"]) + 0.01:
                        self.wrong(f"{what}run {run.id} began after the end of the job")
            self.runs_of[asked.install, job["component"], asked.ticket] = len(mine)

    def overlaps(self, runs):
        for (install, component), all_of_it in runs.items():
            for run in all_of_it:
                for other in run.open:
                    if (other.id, run.id) in self.orphans:
                        continue
                    if not self.fleet.was_killed(install, other.began, run.began):
                        self.wrong(f"runs {other.id} ({other.ticket}) and {run.id} ({run.ticket}) of {component} of {install} overlap")
                    self.orphans.append((other.id, run.id))

    def frozen_runs(self, runs):
        """What has ended does not run again."""
        for (install, component, ticket), count in self.runs_of.items():
            now = sum(run.ticket == ticket for run in runs.get((install, component), ()))
            if now != count:
                self.wrong(f"{component} of {install} ran for {ticket} after its job had ended: {now} runs, not {count}")

    def service(self, install):
        """One process at most, and exactly one, of the right release, where the IMS says that it runs."""
        parts = {part["component"]: part for part in self.fleet.get(f"/v1/installs/{install}")["components"]}
        part = parts.get("a", {"state": "absent"})
        wanted = {"running": (1,), "absent": (0,)}.get(part["state"], (0, 1))
        try:
            eventually(lambda: len(self.fleet.services(install)) in wanted, "", 15)
        except AssertionError:
            self.wrong(f"{install} has the processes {self.fleet.services(install)}; the IMS says that it is {part['state']}")
        asked = self.tickets.get(part.get("job"))
        if part["state"] == "running" and asked and asked.ticket:
            said = (self.fleet.dir / install / "components" / "a" / "data" / "said").read_text().strip()
            if said != asked.ticket:
                self.wrong(f"{install} serves {said}, and the IMS says {asked.ticket}")

    # The end of all

    def check_everything(self):
        """What was seen once is as it was."""
        digest, newest = hashlib.sha256(), 0
        while newest < self.newest and (items := self.fleet.get(f"/v1/events?after={newest}")["items"]):
            for event in items:
                newest = event["seq"]
                digest.update(repr(sorted(event.items())).encode())
                if newest == self.newest:
                    break
        if digest.digest() != self.digest.digest():
            self.wrong("the events are not those that were there before")
        for job, before in self.frozen.items():
            answer = self.fleet.call("GET", f"/v1/jobs/{job}")
            if answer.status != 200:
                self.wrong(f"job {job} is gone: {answer!r}")
                continue
            view = answer.json
            view["log"] = self.log(job)
            if self.fingerprint(view) != before:
                self.wrong(f"job {job} changed after its end: {before} became {self.fingerprint(view)}")
        for asked in self.load.acknowledged:
            path = f"/v1/builds/{asked.id}" if asked.kind == "build" else f"/v1/deploys/{asked.id}"
            if self.fleet.call("GET", path).status != 200:
                self.wrong(f"{asked.kind} {asked.id} is gone")
