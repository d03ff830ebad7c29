"""What goes wrong in a round: drawn by a seeded generator, then done at its times, and undone."""
import dataclasses
import time

from campaign import clock
from campaign.fleet import AGENTS, IMS, INSTALLS, LEASE_S, REGISTRY, SMALL
from campaign.proxy import FAULTS, PASS

LONG_S = LEASE_S + 1.5  # outlives a lease


@dataclasses.dataclass
class Fault:
    at: float        # seconds from the start of the round
    what: str
    targets: list
    lasts: float
    amount: int = 0  # seconds that a clock jumps
    mode: str = ""   # of a proxy
    aim: str = ""    # it waits for this word of a step of its last target, a second at most

    def __str__(self):
        detail = f" {self.amount:+} s" if self.amount else f" {self.mode}" if self.mode else ""
        detail += f" at {self.aim}" if self.aim else ""
        return f"{self.at:.2f}+{self.lasts:.2f} {self.what}{detail} {','.join(self.targets)}"


# (weight, kind); a kind draws its target and how long it lasts.
KINDS = [(4, "kill the IMS"), (6, "kill an agent"), (4, "kill both"), (1, "kill all"), (1, "kill a service"), (1, "terminate"),
         (6, "network"), (2, "registry network"), (1, "long network"), (1, "freeze"), (2, "disk of the IMS"),
         (1, "disk of an agent"), (2, "clock of the IMS"), (1, "clock of an agent")]


class Unavailable:
    """Kinds of fault that this machine does not allow, and why."""

    def __init__(self, fleet):
        self.why = {}
        if fleet.disks[IMS].refused:
            self.why["disk of the IMS"] = self.why["disk of an agent"] = fleet.disks[IMS].refused
        if reason := clock.why_not():
            self.why["clock of the IMS"] = self.why["clock of an agent"] = reason


def draw(rng, window_s, unavailable=()):
    """One to four faults that begin within the window."""
    kinds = [(weight, kind) for weight, kind in KINDS if kind not in unavailable]
    chosen = rng.choices([kind for _, kind in kinds], [weight for weight, _ in kinds], k=rng.choice((1, 2, 2, 3, 4)))
    return sorted((one(rng, kind, rng.uniform(0.2, window_s)) for kind in chosen), key=lambda fault: fault.at)


def one(rng, kind, at):
    agent = rng.choice(AGENTS)
    short = rng.uniform(0.05, 1.0)
    aim = rng.choice(("", "begin", "end"))
    jump = rng.choice((-1, 1)) * rng.choice((2, LEASE_S + 1, 20, 50))  # less than the minute that clocks may differ
    match kind:
        case "kill the IMS":
            return Fault(at, "kill", [IMS], short)
        case "kill an agent":
            return Fault(at, "kill", [agent], short, aim=aim)
        case "kill both":
            return Fault(at, "kill", [IMS, agent], short, aim=aim)
        case "kill all":
            return Fault(at, "kill", [IMS, *AGENTS], short)
        case "kill a service":
            return Fault(at, "kill the service of", [rng.choice(INSTALLS)], 0)
        case "terminate":
            return Fault(at, "terminate", [rng.choice([IMS, agent])], short)
        case "network":
            return Fault(at, "network", [agent], rng.uniform(0.2, 1.6), mode=rng.choice(FAULTS))
        case "registry network":
            return Fault(at, "network", [REGISTRY], rng.uniform(0.2, 1.6), mode=rng.choice(FAULTS))
        case "long network":
            return Fault(at, "network", [agent], LONG_S, mode=rng.choice(FAULTS))
        case "freeze":
            return Fault(at, "freeze", [rng.choice([IMS, agent])], rng.choice((short, LONG_S)), aim=aim)
        case "disk of the IMS":
            return Fault(at, "disk", [IMS], short)
        case "disk of an agent":
            return Fault(at, "disk", [SMALL], short, aim=aim)
        case "clock of the IMS":
            return Fault(at, "clock", [IMS], rng.uniform(0.3, 1.6), amount=jump)
        case "clock of an agent":
            return Fault(at, "clock", [rng.choice(INSTALLS)], rng.uniform(0.3, 1.6), amount=jump)


class Doing:
    """One fault on a fleet. end() may come at any time after begin(), and leaves what others have changed since."""

    def __init__(self, fleet, fault):
        self.fleet, self.fault, self.process, self.begun = fleet, fault, None, False

    def begin(self):
        self.begun = True
        fleet, fault = self.fleet, self.fault
        if fault.aim and fault.targets[-1] in INSTALLS:
            fleet.await_step(fault.targets[-1], fault.aim)
        for name in fault.targets:
            match fault.what:
                case "kill":
                    fleet.kill(name)
                case "kill the service of":
                    fleet.kill_service(name)
                case "terminate":
                    fleet.thaw(name)
                    fleet.terminate(name)
                case "network":
                    fleet.proxies[name].set(fault.mode)
                case "freeze":
                    fleet.freeze(name)
                case "disk":
                    fleet.fill(name)
                case "clock":
                    self.process = fleet.alive(name)
                    self.jump(fault.amount)

    def end(self):
        fleet, fault = self.fleet, self.fault
        for name in fault.targets:
            match fault.what:
                case "kill" | "terminate":
                    fleet.start_one(name)
                case "network":
                    fleet.proxies[name].set(PASS)
                case "freeze":
                    fleet.thaw(name)
                case "disk":
                    fleet.make_room(name)
                case "clock":
                    self.jump(0)

    def jump(self, seconds):
        """A process that was killed meanwhile has taken its clock with it."""
        with self.fleet.lock:
            if self.process and self.process.popen.poll() is None:
                clock.Clock(self.process.pid).ahead_by(seconds)


def play(fleet, faults):
    """Does all of them; returns when the last one is undone and everything runs again."""
    started = time.monotonic()
    waiting = [(fault.at, number, Doing(fleet, fault)) for number, fault in enumerate(faults)]
    while waiting:
        at, number, doing = waiting.pop(waiting.index(min(waiting, key=lambda moment: moment[:2])))
        time.sleep(max(0.0, started + at - time.monotonic()))
        if doing.begun:
            doing.end()
        else:
            doing.begin()
            waiting.append((time.monotonic() - started + doing.fault.lasts, number, doing))
    for name in (IMS, *AGENTS):
        fleet.start_one(name)
