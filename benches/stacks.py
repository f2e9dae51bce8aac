"""B5 and B6 of `scripts/bench`: two hundred stacks, each with one queue, in a local CloudFormation.

B5 runs against a whole server as fast as that one answers, beside the same stacks made by bare calls and by
Sceptre. B6 runs against one that is slow and counts calls (`tests/tools/slow-cloudformation`), beside what
the rates allow at best.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path

from plumbing import *

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".tools" / "python" / "bin" / "python"
SCEPTRE = ROOT / ".tools" / "python-peers" / "bin" / "sceptre"
STACKS = 200
ACCOUNT, REGION = "111111111111", "eu-west-1"
AT_ONCE = 16  # as vend has calls under way in one account
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": ACCOUNT,
    "AWS_SECRET_ACCESS_KEY": "bench",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
}

# ---------------------------------------------------------------------------------- servers

# It counts the calls of CloudFormation by their names, tells and forgets them for each line that it reads,
# and ends when nothing is left to read.
COUNTING = r"""
import collections, json, os, sys, threading
import ministack.services.cloudformation as cloudformation
counts = collections.Counter()
def counting(name, work):
    def counted(*args):
        counts[name] += 1
        return work(*args)
    return counted
handlers = cloudformation._ACTION_HANDLERS
handlers.update({name: counting(name, work) for name, work in handlers.items()})
def tell():
    for _ in sys.stdin:
        print("calls " + json.dumps(counts), flush=True)
        counts.clear()
    os._exit(0)
threading.Thread(target=tell, daemon=True).start()
sys.argv = ["ministack"]
from ministack.app import main
main()
"""


class Whole:
    """The server that tests use too."""

    def __init__(self, where):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{port}"
        home = where / "server"
        home.mkdir(parents=True)
        own = {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "MINISTACK_HOST": "127.0.0.1"}
        own |= {"MINISTACK_REGION": REGION, "LOG_LEVEL": "WARNING", "HOME": str(home), "TMPDIR": str(home)}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen([PYTHON, "-c", COUNTING], env={**os.environ, **own}, cwd=home, text=True, **pipes)
        began = time.perf_counter()
        while True:
            try:
                urllib.request.urlopen(f"{self.endpoint}/_localstack/health", timeout=5)
                return
            except OSError:
                if time.perf_counter() - began > 60 or self.process.poll() is not None:
                    raise Wrong("the local AWS API does not start") from None
                time.sleep(0.02)

    def reset(self):
        urllib.request.urlopen(urllib.request.Request(f"{self.endpoint}/_ministack/reset", method="POST"))
        self.calls()

    def calls(self):
        """How many calls of each kind came since the last time."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        while line := self.process.stdout.readline():
            if line.startswith("calls "):
                return json.loads(line[6:])
        raise Wrong("the local AWS API has ended")

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


class Slow:
    """The server that is slow and counts calls."""

    def __init__(self, *args):
        program = ROOT / "tests" / "tools" / "slow-cloudformation"
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen([PYTHON, program, *args], text=True, **pipes)
        self.endpoint = "http://" + self.process.stdout.readline().strip()

    def calls(self):
        """How many calls of each kind came since the last time, and how many of them were refused."""
        answer = urllib.request.urlopen(urllib.request.Request(f"{self.endpoint}/_calls", method="POST"))
        told = json.loads(answer.read())
        return told["calls"], told["refused"]

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


def described(endpoint):
    """Status and tags of every stack, by name."""
    found, token = {}, ""
    while True:
        form = {"Action": "DescribeStacks", "Version": "2010-05-15", **({"NextToken": token} if token else {})}
        signature = f"AWS4-HMAC-SHA256 Credential={ACCOUNT}/20260101/{REGION}/cloudformation/aws4_request, SignedHeaders=host, Signature=0"
        headers = {"authorization": signature, "content-type": "application/x-www-form-urlencoded"}
        body = urllib.parse.urlencode(form).encode()
        text = urllib.request.urlopen(urllib.request.Request(endpoint, body, headers)).read().decode()
        # Members of a stack's own lists hold no name of a stack.
        for stack in re.split(r"(?=<StackName>)", text)[1:]:
            name = re.search(r"<StackName>(.*?)<", stack).group(1)
            status = re.search(r"<StackStatus>(.*?)<", stack).group(1)
            found[name] = (status, dict(re.findall(r"<Key>(.*?)</Key><Value>(.*?)</Value>", stack)))
        token = re.search(r"<NextToken>(.*?)<", text)
        if not token:
            return found
        token = token.group(1)


# ---------------------------------------------------------------------------------- worlds

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"seconds": {"type": "integer", "default": 60}},
}

TEMPLATE = """\
apiVersion: vend.dev/v1
kind: Template
metadata: {name: queue, version: 1.0.0, title: Queue, description: A queue., owner: platform}
spec:
  parameters: schema.json
  components:
    - {name: queue, provider: cloudformation, source: stack.yaml.hbs}
  outputs:
    url: {from: queue.QueueUrl, description: Its address.}
"""

SOURCE = """\
AWSTemplateFormatVersion: "2010-09-09"
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      MessageRetentionPeriod: {{parameters.seconds}}
Outputs:
  QueueUrl:
    Value: !Ref Queue
"""


def path_of(n):
    return f"team-{n % 20:02}/dev/queue-{n:03}"


def request(n, seconds=60):
    return f"""\
apiVersion: vend.dev/v1
kind: Request
metadata: {{name: queue-{n:03}}}
spec:
  template: queue@1.0.0
  parameters: {{seconds: {seconds}}}
"""


class World:
    """Repositories with a request for each stack, and the configuration of a vend for them."""

    def __init__(self, where, vend, endpoint, rates):
        self.where, self.vend, self.config = where, vend, where / "vend.yaml"
        for name in ("catalog", "requests"):
            git("init", "--quiet", "--bare", "-b", "main", where / f"{name}.git")
        environment = f'{{account: "{ACCOUNT}", region: {REGION}}}'
        catalog = {
            "catalog.yaml": "apiVersion: vend.dev/v1\nkind: Catalog\nmetadata: {name: bench}\nspec: {format: 1}\n",
            "templates/queue/1.0.0/template.yaml": TEMPLATE,
            "templates/queue/1.0.0/schema.json": json.dumps(SCHEMA),
            "templates/queue/1.0.0/stack.yaml.hbs": SOURCE,
            "environments/dev.yaml": "apiVersion: vend.dev/v1\nkind: Environment\nmetadata: {name: dev}\n"
            f"spec: {{providers: {{cloudformation: {environment}}}}}\n",
        }
        commit(where / "catalog.git", "main", catalog.items())
        self.ask(range(STACKS), 60)
        self.config.write_text(
            f"catalog: {{repository: {where}/catalog.git}}\n"
            f"requests: [{{name: requests, repository: {where}/requests.git}}]\n"
            f"stateDir: {where}/state\n"
            "reconcile: {interval: 1h, driftInterval: 24h}\n"
            f"providers: {{cloudformation: {{endpoint: \"{endpoint}\", rates: {json.dumps(rates)}}}}}\n"
        )

    def ask(self, which, seconds):
        files = [(f"requests/{path_of(n)}.yaml", request(n, seconds)) for n in which]
        commit(self.where / "requests.git", "main", files)

    def apply(self):
        return timed([self.vend, "apply", "--wait", "--quiet", "--config", self.config], env=CREDENTIALS)

    def check(self, endpoint, updated=()):
        """Every stack is there with vend's tags, and every status in Git says so."""
        stacks = described(endpoint)
        whose = {tags.get("vend:request"): status for status, tags in stacks.values()}
        wanted = {path_of(n): "UPDATE_COMPLETE" if n in updated else "CREATE_COMPLETE" for n in range(STACKS)}
        expect(whose, wanted, "stacks with vend's tags")
        statuses = blobs(self.where / "requests.git", "vend/status", "status/", 1)
        phases = {p[len("status/") : -len(".yaml")]: re.search(r"^phase: (\w+)", t, re.M).group(1) for p, t in statuses.items()}
        expect(phases, dict.fromkeys(wanted, "Ready"), "statuses in Git")


def told(calls):
    return ", ".join(f"{n} {name}" for name, n in sorted(calls.items(), key=lambda c: -c[1])) or "none"


# ---------------------------------------------------------------------------------- B5

# A plain program of four calls for each stack that is made, two for each that is as it should be.
BARE = r"""
import json, resource, sys, time
from concurrent.futures import ThreadPoolExecutor
import boto3
from botocore.config import Config
endpoint, threads, count, work = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
client = boto3.client("cloudformation", endpoint_url=endpoint, config=Config(max_pool_connections=threads))
def body(seconds):
    queue = {"Type": "AWS::SQS::Queue", "Properties": {"MessageRetentionPeriod": seconds}}
    return json.dumps({"Resources": {"Queue": queue}, "Outputs": {"QueueUrl": {"Value": {"Ref": "Queue"}}}})
def until(look, ends):
    while True:
        found = look()
        if found in ends:
            return found
        time.sleep(0.005)
def one(n):
    name, changed = f"bare-{n:03}", work == "change" and n == 7
    text = body(61 if changed else 60)
    kind = "CREATE" if work == "create" else "UPDATE"
    made = client.create_change_set(StackName=name, ChangeSetName=f"set-{work}", ChangeSetType=kind, TemplateBody=text)["Id"]
    if until(lambda: client.describe_change_set(ChangeSetName=made)["Status"], ("CREATE_COMPLETE", "FAILED")) == "FAILED":
        return 0
    client.execute_change_set(ChangeSetName=made)
    wanted = "CREATE_COMPLETE" if work == "create" else "UPDATE_COMPLETE"
    until(lambda: client.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"], (wanted,))
    return 1
began, cpu = time.perf_counter(), time.process_time()
with ThreadPoolExecutor(threads) as pool:
    done = sum(pool.map(one, range(count)))
rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"wall": time.perf_counter() - began, "cpu": time.process_time() - cpu, "done": done, "rss": rss}))
"""

WORKS = ("create", "nothing", "change")
CHANGED = 7


def b5(folder, vend, runs):
    """Two hundred stacks made, found as they should be, and one of them changed."""
    server = Whole(folder / "b5")
    sceptre = peer()
    took = {who: {work: [] for work in WORKS} for who in ("vend", "bare", "sceptre")}
    calls = {}
    try:
        for run in range(runs):
            sides = [("vend", with_vend), ("bare", with_bare)] + ([("sceptre", with_sceptre)] if sceptre else [])
            for who, side in sides:
                server.reset()
                where = folder / "b5" / f"{who}-{run}"
                where.mkdir()
                for work, result in side(where, vend, server):
                    took[who][work].append(result)
                    calls[who, work] = server.calls()
                shutil.rmtree(where)
    finally:
        server.stop()
    goals = {"create": 1.05}
    labels = {"create": "made", "nothing": "as they are", "change": "one changed"}
    for work in WORKS:
        ours = took["vend"][work]
        wall, own, rss = least(ours, "wall"), least(ours, "own"), max(t.rss for t in ours)
        mine = f"{ms(wall)}, own CPU {own / STACKS * 1000:.2f} ms a stack, {rss:.0f} MB"
        for who, name in (("bare", "bare calls"), ("sceptre", "Sceptre 4.7.0")):
            theirs = took[who][work]
            if theirs:
                ratio, goal = wall / least(theirs, "wall"), goals.get(work) if who == "bare" else None
                other = f"{name}: {ms(least(theirs, 'wall'))}, CPU {least(theirs, 'cpu') / STACKS * 1000:.1f} ms a stack, {max(t.rss for t in theirs):.0f} MB"
                row(f"B5 stacks {labels[work]}", STACKS, mine, other, f"{ratio:.2f} x", f"{goal} x" if goal else "", ratio <= goal if goal else None)
        print(f"    calls of vend: {told(calls['vend', work])}; bare: {told(calls['bare', work])}; Sceptre: {told(calls.get(('sceptre', work), {}))}", flush=True)
    own = least(took["vend"]["create"], "own") / STACKS * 1000
    row("B5 own CPU of a new stack", STACKS, f"{own:.2f} ms", "", "", "0.25 ms", own <= 0.25)
    rss = max(t.rss for t in took["vend"]["create"])
    row("B5 memory", STACKS, f"{rss:.0f} MB", "", "", "40 MB", rss <= 40)
    expect(calls["vend", "nothing"], {}, "calls of a pass over nothing new")


def with_vend(where, vend, server):
    world = World(where, vend, server.endpoint, {"changes": 10_000, "looks": 10_000, "events": 10_000})
    yield "create", world.apply()
    world.check(server.endpoint)
    server.calls()
    yield "nothing", world.apply()
    world.ask([CHANGED], 61)
    yield "change", world.apply()
    world.check(server.endpoint, updated={CHANGED})


def with_bare(where, _, server):
    script = where / "bare.py"
    script.write_text(BARE)
    for work in WORKS:
        args = [PYTHON, script, server.endpoint, AT_ONCE, STACKS, work]
        inner = json.loads(timed(args, env=CREDENTIALS).out)
        expect(inner["done"], {"create": STACKS, "nothing": 0, "change": 1}[work], f"bare stacks that {work}")
        yield work, Took(inner["wall"], inner["cpu"], inner["rss"])


def with_sceptre(where, _, server):
    config = where / "config"
    (config / "dev").mkdir(parents=True)
    (where / "templates").mkdir()
    (config / "config.yaml").write_text(f"project_code: bench\nregion: {REGION}\n")
    (where / "templates" / "queue.yaml").write_text(
        'AWSTemplateFormatVersion: "2010-09-09"\nParameters:\n  Seconds: {Type: Number}\n'
        + SOURCE.split("\n", 1)[1].replace("{{parameters.seconds}}", "{Ref: Seconds}").replace("!Ref Queue", "{Ref: Queue}")
    )
    one = lambda n, seconds: (config / "dev" / f"queue-{n:03}.yaml").write_text(
        f'template: {{path: queue.yaml, type: file}}\nparameters: {{Seconds: "{seconds}"}}\n'
    )
    for n in range(STACKS):
        one(n, 60)
    env = {**CREDENTIALS, "AWS_ENDPOINT_URL": server.endpoint}
    launch = lambda: timed([SCEPTRE, "launch", "--yes", "dev"], cwd=where, env=env)
    yield "create", launch()
    expect(sum(s == "CREATE_COMPLETE" for s, _ in described(server.endpoint).values()), STACKS, "stacks that Sceptre made")
    server.calls()
    yield "nothing", launch()
    one(CHANGED, 61)
    yield "change", launch()
    expect(sum(s == "UPDATE_COMPLETE" for s, _ in described(server.endpoint).values()), 1, "stacks that Sceptre changed")
    server.calls()


def peer():
    try:
        subprocess.run([ROOT / "scripts" / "python-tools", "peers"], check=True)
        return SCEPTRE
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"  without Sceptre: {error}")
        return None


# ---------------------------------------------------------------------------------- B6

CHANGES, LOOKS, READS, SECONDS = 10, 5, 10, 4


def b6(folder, vend, _):
    """Two hundred stacks under the rates that vend takes for granted, each of which takes some seconds."""
    where = folder / "b6"
    where.mkdir()
    server = Slow("--seconds", str(SECONDS), "--changes", str(CHANGES), "--looks", str(LOOKS), "--reads", str(READS))
    try:
        world = World(where, vend, server.endpoint, {"changes": CHANGES, "looks": LOOKS, "events": READS})
        # The last of so many calls comes so late at the soonest: a second's worth is there at the start.
        bound = (STACKS - CHANGES) / CHANGES + SECONDS
        paced(server, "made", world.apply(), bound, f"{STACKS} CreateStack at {CHANGES}/s, and the last takes {SECONDS} s")
        world.check(server.endpoint)
        server.calls()
        nothing = world.apply()
        calls, _ = server.calls()
        row("B6 stacks as they are", STACKS, ms(nothing.wall), "", f"{sum(calls.values())} calls", "none", not calls)
        expect(calls, {}, "calls of a pass over nothing new")
        world.ask([CHANGED], 61)
        bound = SECONDS
        paced(server, "one changed", world.apply(), bound, f"one takes {SECONDS} s", goal=None)
        world.ask(range(STACKS), 62)
        bound = (2 * STACKS - CHANGES) / CHANGES + SECONDS
        paced(server, "all changed", world.apply(), bound, f"{STACKS} CreateChangeSet and ExecuteChangeSet at {CHANGES}/s together, and the last takes {SECONDS} s")
        world.check(server.endpoint, updated=set(range(STACKS)))
    finally:
        server.stop()


def paced(server, what, took, bound, why, goal=1.1):
    calls, refused = server.calls()
    ratio, share = took.wall / bound, sum(refused.values()) / max(1, sum(calls.values()))
    mine = f"{took.wall:.1f} s, {took.rss:.0f} MB"
    row(f"B6 stacks {what}", STACKS, mine, f"at best {bound:.1f} s: {why}", f"{ratio:.2f} x", f"{goal} x" if goal else "", ratio <= goal if goal else None)
    row(f"B6 too fast, {what}", sum(calls.values()), f"{sum(refused.values())} calls", "", f"{share:.1%}", "1 %", share < 0.01)
    print(f"    calls: {told(calls)}", flush=True)
