"""What customers and developers ask for while things go wrong: deploys, teardowns, builds, cancels. Each remembers what the
IMS acknowledged; what it did not answer may have happened or not."""
import collections
import dataclasses
import http.client
import random
import threading

from campaign.fleet import APP, INSTALLS

TERMINAL = {"succeeded", "failed", "cancelled", "timed_out", "skipped"}


@dataclasses.dataclass
class Asked:
    """An acknowledged creation."""
    kind: str                # deploy, teardown or build
    id: str                  # of the deploy or build
    install: str = ""
    ticket: str = ""
    exit: int = 0
    jobs: dict = dataclasses.field(default_factory=dict)  # component: job


class Customer(threading.Thread):
    """Of one install. At most two of its deploys wait or run at a time."""

    def __init__(self, fleet, install, seed):
        super().__init__(daemon=True)
        self.fleet, self.install, self.seed = fleet, install, seed
        self.rng = random.Random(seed)
        self.acknowledged, self.live, self.tickets = [], [], 0
        self.going, self.ending, self.error, self.tag = threading.Event(), False, None, "0"
        self.acting, self.answers = threading.Lock(), collections.Counter()

    def call(self, method, path, body=None):
        """None: nobody knows whether it happened."""
        try:
            answer = self.fleet.call(method, path, body, timeout_s=5)
        except (OSError, http.client.HTTPException):
            answer = None
        if method != "GET":
            self.answers[answer.status if answer else "none"] += 1
        return answer

    def run(self):
        try:
            while True:
                self.going.wait()
                if self.ending:
                    return
                with self.acting:
                    if self.going.is_set():
                        self.act()
                threading.Event().wait(self.rng.uniform(0.05, 0.4))
        except Exception as error:  # noqa: BLE001 a fault of the campaign, shown by the main thread
            self.error = error

    def act(self):
        self.live = [asked for asked in self.live if not self.is_done(asked)]
        if self.live and self.rng.random() < 0.06:
            job = self.rng.choice(list(self.rng.choice(self.live).jobs.values()) or [None])
            if job:
                self.call("POST", f"/v1/jobs/{job}/cancel")
        if len(self.live) >= self.rng.choice((1, 1, 1, 2)):
            return
        if self.rng.random() < 0.07:
            self.create("teardown", "", 0)
            return
        self.tickets += 1
        ticket, code = f"{self.install}-{self.tag}-{self.tickets}", 3 if self.rng.random() < 0.07 else 0
        inputs = {"ticket": ticket, "lines": self.rng.randint(3, 15), "exit": code,
                  "quiet": "0.9" if self.rng.random() < 0.1 else "0"}
        answer = self.call("PUT", f"/v1/installs/{self.install}/inputs", {"inputs": inputs})
        if answer and answer.status == 200:
            self.create("deploy", ticket, code, self.rng.choice(("", "", "", "b")))

    def create(self, kind, ticket, code, component=""):
        body = {"install": self.install, "kind": kind, "component": component}
        if kind == "deploy":
            body["release"] = str(self.rng.randint(max(1, self.fleet.release - 2), self.fleet.release))
        answer = self.call("POST", "/v1/deploys", body)
        if answer is None:
            return
        if answer.status == 201:
            asked = Asked(kind, answer.json["id"], self.install, ticket, code,
                          {job["component"]: job["id"] for job in answer.json["jobs"]})
            self.acknowledged.append(asked)
            self.live.append(asked)
        elif answer.status not in (429, 503, 507):
            raise AssertionError(f"a {kind} of {self.install} was refused: {answer!r}")

    def is_done(self, asked):
        answer = self.call("GET", f"/v1/deploys/{asked.id}")
        return bool(answer) and answer.status == 200 and answer.json["state"] in TERMINAL


class Developer(Customer):
    """Has the app's two components built again, from the sources that are there."""

    def __init__(self, fleet, seed):
        super().__init__(fleet, "", seed)

    def act(self):
        self.live = [asked for asked in self.live if not self.is_done(asked)]
        if len(self.live) >= 2:
            return
        component = self.rng.choice(sorted(self.fleet.sources))
        answer = self.call("POST", "/v1/builds", {"app": APP, "components": [component],
                                                  "sources": {component: self.fleet.sources[component]}})
        if answer is None:
            return
        if answer.status == 201:
            for build in answer.json["items"] if "items" in answer.json else [answer.json]:
                self.acknowledged.append(Asked("build", build["id"], jobs={component: build["job"]}))
                self.live.append(self.acknowledged[-1])
        elif answer.status not in (429, 503, 507):
            raise AssertionError(f"a build was refused: {answer!r}")

    def is_done(self, asked):
        answer = self.call("GET", f"/v1/builds/{asked.id}")
        return bool(answer) and answer.status == 200 and answer.json["state"] in TERMINAL


class Load:
    def __init__(self, fleet, seed):
        self.workers = [Customer(fleet, install, f"{seed}/{install}") for install in INSTALLS]
        self.workers.append(Developer(fleet, f"{seed}/builds"))
        for worker in self.workers:
            worker.start()

    def go(self, number):
        for worker in self.workers:
            worker.tag, worker.rng = str(number), random.Random(f"{worker.seed}/{number}")
            worker.going.set()

    def pause(self):
        for worker in self.workers:
            worker.going.clear()
        for worker in self.workers:
            with worker.acting:  # what it is at is done then
                pass
            if worker.error:
                raise worker.error

    def close(self):
        for worker in self.workers:
            worker.ending = True
            worker.going.set()
            worker.join(30)

    @property
    def answers(self):
        """How many writes were answered with which status, or not at all."""
        return sum((worker.answers for worker in self.workers), collections.Counter())

    @property
    def acknowledged(self):
        return [asked for worker in self.workers for asked in list(worker.acknowledged)]
