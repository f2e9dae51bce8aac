"""B8: many requests finish while people push: how soon each status is in Git, and in how many commits.

People push five commits a second for ten seconds, each with twenty new requests. A commit's time is when its push
ended; a status' time is when the status branch moved to the first commit that has it as it stays.
"""

import re
import threading
import time

from plumbing import *

SECONDS = 10
PUSHES = 5  # a second
EACH = 20  # requests in a push


class Watch(threading.Thread):
    """Every tip that a branch had, and since when. The ref's file is read: asking git would cost more."""

    def __init__(self, repository, branch):
        super().__init__(daemon=True)
        self.ref = repository / "refs" / "heads" / branch
        self.seen, self.over = [], False

    def run(self):
        last = None
        while not self.over:
            try:
                now = self.ref.read_text().strip()
            except FileNotFoundError:
                now = None
            if now and now != last:
                self.seen.append((time.perf_counter(), now))
                last = now
            time.sleep(0.001)


def b8(world, daemon, request, most=120):
    """`daemon` serves `world`, whose requests are all applied; `request(n)` is a file's (path, text)."""
    requests = world.where / "requests.git"
    watch = Watch(requests, "vend/status")
    old = tip(requests, "vend/status")
    watch.start()
    pushed, began = {}, time.perf_counter()
    for k in range(SECONDS * PUSHES):
        wait = began + k / PUSHES - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        files = [request(k * EACH + n) for n in range(EACH)]
        commit(requests, "main", [(f"requests/{path}.yaml", text) for path, text in files])
        at = time.perf_counter()
        pushed.update({path: at for path, _ in files})
    ended = time.perf_counter()
    while time.perf_counter() - ended < most:
        there = set(names(requests, "vend/status", "status/burst/"))
        if len(there) == len(pushed):
            texts = blobs(requests, "vend/status", "status/burst/", 1)
            if all(re.search(r"^phase: Ready", text, re.M) for text in texts.values()):
                break
        time.sleep(0.2)
    else:
        raise Wrong(f"{len(pushed)} requests pushed, not all of them Ready after {most} s")
    time.sleep(1.5)
    watch.over = True
    watch.join()
    # A tip may have been there for less than a look: all commits are walked, each counted when it was seen or passed.
    times = dict((commit_id, at) for at, commit_id in watch.seen)
    line = git("-C", requests, "rev-list", "--reverse", f"{old}..vend/status").decode().split()
    at, when = None, {}
    for commit_id in reversed(line):
        at = times.get(commit_id, at)
        when[commit_id] = at
    latest, counted = {}, {}
    for commit_id in line:
        for path in git("-C", requests, "diff-tree", "-r", "--name-only", "--no-commit-id", commit_id, "--", "status/burst").decode().split():
            id = path[len("status/") : -len(".yaml")]
            latest[id] = when[commit_id]
            counted[id] = counted.get(id, 0) + 1
    expect(set(latest), set(pushed), "statuses in Git")
    waits = [latest[id] - pushed[id] for id in pushed]
    made = [s for s in steps(world) if "-burst-" in s or "burst" in s]
    doubled = len(made) - len(set(made))
    expect((len(made), doubled), (len(pushed), 0), "effects, and how many of them twice")
    span = max(latest.values()) - began
    rate = len(line) / span
    p50, p99 = middle(waits), middle(waits, 0.99)
    row("B8 push to final status under load, p99", world.total, f"{ms(p99)}, p50 {ms(p50)}", f"{len(pushed):,} requests in {SECONDS} s", "", "2 s", p99 <= 2)
    row("B8 commits to the status branch", world.total, f"{rate:.2f} a second", f"{len(line)} in {span:.1f} s, {sum(counted.values()) / len(counted):.2f} versions of a status", "", "1 a second", rate <= 1.1)


def steps(world):
    """The trailers of all effects: target, action, token."""
    log = git("-C", world.where / "output.git", "log", "--format=%B", "main").decode()
    return [line.split()[1] for line in log.splitlines() if line.startswith("Vend-Step: ")]
