"""The fault campaign: rounds of random faults on real processes under load, and after each round what must hold still does.

CAMPAIGN_ROUNDS (20), CAMPAIGN_SEED (1) and CAMPAIGN_FIRST (0) say how many, which, and from where; tests/campaign/run.sh sets
them. A round of a seed has the same faults at the same times and the same dice for the load; what the processes make of it
differs a little each time. A round that breaks something is told of, and the campaign goes on; it fails at its end."""
import collections
import os
import pathlib
import random
import shutil
import sys
import tempfile
import time
import unittest

from campaign.faults import Unavailable, draw, play
from campaign.fleet import Fleet
from campaign.invariants import Invariants
from campaign.load import Load

ROUNDS = int(os.environ.get("CAMPAIGN_ROUNDS", "20"))
SEED = os.environ.get("CAMPAIGN_SEED", "1")
FIRST = int(os.environ.get("CAMPAIGN_FIRST", "0"))
ENOUGH = 5  # broken rounds
WINDOW_S = 1.0  # faults begin in it; the load goes on until the last one is undone


def say(text):
    print(text, file=sys.stderr, flush=True)


class Campaign(unittest.TestCase):
    def setUp(self):
        self.fleet = Fleet()
        self.addCleanup(self.fleet.stop)
        self.fleet.setup()
        self.load = Load(self.fleet, SEED)
        self.addCleanup(self.load.close)
        self.invariants = Invariants(self.fleet, self.load)
        self.verdicts = []

    def keep(self):
        """The processes' logs, the databases and the ledger, for a look at what went wrong."""
        kept = pathlib.Path(tempfile.mkdtemp(prefix="consign-campaign-"))
        for file in self.fleet.dir.glob("*.log"):
            shutil.copy(file, kept)
        shutil.copytree(self.fleet.ledger, kept / "ledger")
        for file in (self.fleet.dir / "ims-disk" / "data").glob("*.db*"):
            shutil.copy(file, kept)
        return kept

    def verdict(self, where):
        if self.invariants.broken:
            what = "\n".join(self.invariants.broken[:20])
            self.verdicts.append(f"seed {SEED}, {where}; see {self.keep()}\n{what}")
            say(self.verdicts[-1])
            self.invariants.broken = []
        if len(self.verdicts) >= ENOUGH:
            self.fail(self.told())

    def told(self):
        return "\n\n".join(self.verdicts)

    def one_round(self, number, unavailable):
        rng = random.Random(f"{SEED}/{number}")
        # The first and each tenth is calm: without a fault, nothing needs a second attempt.
        faults = draw(rng, WINDOW_S, unavailable) if number % 10 else []
        self.fleet.publish(rng)
        began, before = time.monotonic(), len(self.invariants.frozen)
        self.load.go(number)
        play(self.fleet, faults)
        time.sleep(max(0.0, began + WINDOW_S - time.monotonic()))
        self.load.pause()
        self.invariants.settle()
        self.invariants.check(faults)
        say(f"round {number}: {'; '.join(map(str, faults)) or 'calm'}: {len(self.invariants.frozen) - before} jobs, "
            f"settled in {self.invariants.settled_s[-1]:.1f} s, {time.monotonic() - began:.1f} s")
        self.verdict(f"round {number}: {'; '.join(map(str, faults))}")

    def test_rounds(self):
        unavailable = Unavailable(self.fleet).why
        say(f"\n{ROUNDS} rounds from {FIRST}, seed {SEED}")
        for kind, why in unavailable.items():
            say(f"left out: {kind}: {why}")
        for number in range(FIRST, FIRST + ROUNDS):
            self.one_round(number, unavailable)
        self.load.close()
        self.invariants.check_everything()
        self.verdict("at the end")
        self.summary()
        self.assertFalse(self.verdicts, self.told())

    def summary(self):
        found = self.invariants
        again = sum(history.starts > 1 for history in found.histories.values())
        say(f"{len(found.frozen)} jobs, {again} of them started more than once; {len(self.fleet.kills)} kills; longest settling "
            f"{max(found.settled_s):.1f} s\n{len(found.orphans)} times a step ran on beside its repetition after its agent was killed")
        say(f"the load's writes by answer: {dict(self.load.answers)}")
        for what, count in [*sorted(found.counts.items()), *found.failures.most_common(), *collections.Counter(self.fleet.notes).items()]:
            say(f"{count:6} {what}")


if __name__ == "__main__":
    unittest.main()
