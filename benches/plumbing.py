"""What the measures of `scripts/bench` share: processes and their cost, bare repositories, the table."""

import os
import resource
import subprocess
import tempfile
import time
from pathlib import Path


class Wrong(Exception):
    """A result that is not what it should be: a time without it means nothing."""


def expect(found, wanted, what):
    if found != wanted:
        raise Wrong(f"{what}: expected {wanted}, found {found}")


ENVIRONMENT = {
    **os.environ,
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "bench",
    "GIT_AUTHOR_EMAIL": "bench@localhost",
    "GIT_COMMITTER_NAME": "bench",
    "GIT_COMMITTER_EMAIL": "bench@localhost",
    "NO_COLOR": "1",
}


def git(*args, **options):
    args = ["git", *map(str, args)]
    done = subprocess.run(args, env=ENVIRONMENT, capture_output=True, **options)
    if done.returncode:
        raise Wrong(f"{' '.join(args)}: {done.stderr.decode()}")
    return done.stdout


def tip(repository, branch):
    try:
        return git("-C", repository, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}").decode().strip()
    except Wrong:
        return None


def commit(repository, branch, files, message="bench"):
    """Commits (path, text) pairs to a bare repository, without an index that would grow with N."""
    parent = tip(repository, branch)
    out = [f"commit refs/heads/{branch}\ncommitter bench <bench@localhost> {int(time.time())} +0000\n"]
    out.append(f"data {len(message)}\n{message}\n" + (f"from {parent}\n" if parent else ""))
    for path, text in files:
        out.append(f"M 100644 inline {path}\ndata {len(text.encode())}\n{text}\n")
    git("-C", repository, "fast-import", "--quiet", input="".join(out).encode())


def names(repository, branch, folder):
    args = ["ls-tree", "-r", "--name-only", "-z", branch, *([folder] if folder else [])]
    return [n for n in git("-C", repository, *args).decode().split("\0") if n]


def blobs(repository, branch, folder, every, end=""):
    """Texts by path of every so-manieth file."""
    paths = [p for p in names(repository, branch, folder) if p.endswith(end)][::every]
    asked = "".join(f"{branch}:{p}\n" for p in paths).encode()
    out = git("-C", repository, "cat-file", "--batch", input=asked)
    texts, at = {}, 0
    for path in paths:
        end_of_line = out.index(b"\n", at)
        size = int(out[at:end_of_line].split()[2])
        texts[path] = out[end_of_line + 1 : end_of_line + 1 + size].decode()
        at = end_of_line + size + 2
    return texts


class Took:
    def __init__(self, wall, cpu, rss=0.0, out=b"", err=b"", own=0.0):
        self.wall, self.cpu, self.rss, self.out, self.err, self.own = wall, cpu, rss, out, err, own


def timed(args, codes=(0,), cwd=None, env=None):
    """Runs a process: wall clock, CPU of it and of all its children, its own alone, and its peak memory."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        before, began = children(), time.perf_counter()
        process = subprocess.Popen([str(a) for a in args], stdout=out, stderr=err, env={**ENVIRONMENT, **(env or {})}, cwd=cwd)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        own = own_cpu(process.pid)
        _, status, usage = os.wait4(process.pid, 0)
        wall, cpu = time.perf_counter() - began, children() - before
        process.returncode = code = os.waitstatus_to_exitcode(status)
        out.seek(0), err.seek(0)
        out, err = out.read(), err.read()
        if code not in codes:
            tail = err.decode()[-2000:] or out.decode()[-2000:]
            raise Wrong(f"{' '.join(map(str, args))} ended with {code}: {tail}")
        return Took(wall, cpu, usage.ru_maxrss / 1024, out, err, own)


def own_cpu(pid):
    """CPU of a process without its children, also of one that has ended and was not waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def children():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def paired(runs, *works):
    """A B A B: each work's runs, so that what else the machine does falls on all alike."""
    took = [[] for _ in works]
    for _ in range(runs):
        for n, work in enumerate(works):
            took[n].append(work())
    return took


def least(took, what):
    return min(getattr(t, what) for t in took)


def middle(values, share=0.5):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))]


def ms(seconds):
    return f"{seconds * 1000:.1f} ms" if seconds < 10 else f"{seconds:.1f} s"


ROWS = []


def row(measure, total, vend, other, ratio, goal, ok=None):
    mark = "" if ok is None else (" ✓" if ok else " ✗")
    ROWS.append((measure, f"{total:,}", vend, other, ratio, goal + mark))
    print(f"  {measure} | {total:,} | {vend} | {other} | {ratio} | {goal}{mark}", flush=True)
