"""What the components' commands did, told by themselves to files that consign does not know of.

The step says `begin`, writes numbered lines to its output, and says `end`; or `stopped` when it was asked to stop (TERM),
or lost its reader (PIPE). Each is one short append, so the order in the file is the order of things."""
import dataclasses

STEP = r"""#!/bin/bash
# step LEDGER TICKET LINES QUIET EXIT: QUIET seconds pass without a word before the end
ledger=$1; ticket=$2; lines=$3; quiet=$4; code=$5
read -r run </proc/sys/kernel/random/uuid; run=${run%%-*}
say() { echo "$1 $ticket $run $$ $EPOCHREALTIME" >>"$ledger"; }
pause() { read -rt "$1" <> <(:) || :; }
trap 'say stopped; exit 143' TERM
trap 'say stopped; exit 141' PIPE
say begin
for ((n = 1; n <= lines; n++)); do
  echo "<$run $n/$lines>"
  pause 0.02
done
pause "$quiet"
say end
exit "$code"
"""


@dataclasses.dataclass
class Run:
    """One time that a step ran."""
    install: str
    component: str
    ticket: str
    id: str
    pid: int
    began: float
    ended: float = None   # when it said `end`
    stopped: float = None
    open: list = dataclasses.field(default_factory=list)  # the runs that had not ended when this one began

    @property
    def closed(self):
        return self.ended or self.stopped


def read(directory):
    """{(install, component): [Run…] in order}"""
    out = {}
    for file in sorted(directory.iterdir()):
        install, _, component = file.name.partition(".")
        runs, by_id = [], {}
        for line in file.read_text().splitlines():
            what, ticket, run, pid, at = line.split()
            at = float(at.replace(",", "."))
            if what == "begin":
                by_id[run] = Run(install, component, ticket, run, int(pid), at)
                by_id[run].open = [other for other in runs if not other.closed]
                runs.append(by_id[run])
            elif what == "end":
                by_id[run].ended = at
            else:
                by_id[run].stopped = at
        out[install, component] = runs
    return out
