"""B11 of `scripts/bench`: what `vend catalog diff` takes when one template changes that 500 of N requests use,
by an edit in place and by a new version that their ranges take in waves.

Nothing is applied for it. The status branch holds what one pass over a handful of the same requests
published, written once for each request under its own name.
"""

import json
import shutil

from plumbing import *

USERS = 500

SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": False,
    "properties": {"days": {"type": "integer", "minimum": 1, "maximum": 14}},
}

STACK = """\
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: {{request.team}}-{{request.name}}
      DelaySeconds: 1
      MessageRetentionPeriod: {{parameters.days}}
  Topic:
    Type: AWS::SNS::Topic
Outputs:
  Arn:
    Value: !GetAtt Queue.Arn
"""


def template(name, provider, source, version="1.0.0"):
    folder = f"templates/{name}/{version}"
    return {
        f"{folder}/template.yaml": f"""\
apiVersion: vend.dev/v1
kind: Template
metadata: {{name: {name}, version: {version}, title: Queue, description: A queue., owner: platform}}
spec:
  parameters: schema.json
  components:
    - {{name: main, provider: {provider}, source: main.yaml.hbs}}
""",
        f"{folder}/schema.json": json.dumps(SCHEMA),
        f"{folder}/main.yaml.hbs": source,
        f"{folder}/README.md": "A queue.\n",
    }


def place(n, total):
    teams = max(4, round(total**0.5))
    return f"team-{n % teams:03}/{'dev' if n // teams % 2 else 'prod'}/queue-{n // teams:05}"


def request(template, n, wanted="1.0.0"):
    return f"""\
apiVersion: vend.dev/v1
kind: Request
spec:
  template: {template}@{wanted}
  parameters: {{days: {n % 14 + 1}}}
  reason: ORD-{n}
"""


def catalog(where):
    waves = "rollout: [{environment: dev}, {environment: prod}]"
    about = f"apiVersion: vend.dev/v1\nkind: Catalog\nmetadata: {{name: bench}}\nspec: {{format: 1, {waves}}}\n"
    files = {"catalog.yaml": about}
    for name in ("queue", "note"):
        files |= template(name, "files", STACK)
    for name in ("dev", "prod"):
        files[f"environments/{name}.yaml"] = (
            f"apiVersion: vend.dev/v1\nkind: Environment\nmetadata: {{name: {name}}}\n"
            f"spec:\n  providers:\n    files: {{repository: {where}/output.git}}\n"
        )
    return files


class Radius:
    """`users` of `total` requests use the template `queue`, the others `note`. `new`: they ask for a range, and a
    version comes that is in it."""

    def __init__(self, where, vend, total, users, new=False):
        self.where, self.vend, self.total, self.users, self.new = where, vend, total, users, new
        where.mkdir(parents=True)
        for name in ("catalog", "requests", "output"):
            git("init", "--quiet", "--bare", "-b", "main", where / f"{name}.git")
        commit(where / "catalog.git", "main", catalog(where).items())
        step = total // users
        self.template = lambda n: "queue" if n % step == 0 and n // step < users else "note"
        self.publish()
        self.clone = where / "catalog"
        git("clone", "--quiet", where / "catalog.git", self.clone)
        lines = [f"catalog: {{repository: {where}/catalog.git}}", f"requests: [{{repository: {where}/requests.git}}]"]
        (self.clone / "vend.yaml").write_text("\n".join(lines) + "\n")
        changed = STACK.replace("DelaySeconds: 1", "DelaySeconds: 2")
        edits = template("queue", "files", changed, "1.0.1") if new else {"templates/queue/1.0.0/main.yaml.hbs": changed}
        for path, text in edits.items():
            (self.clone / path).parent.mkdir(exist_ok=True)
            (self.clone / path).write_text(text)

    def request(self, name, n):
        # The statuses are copies of one: of a range it counts that its file is the one that was applied.
        return request(name, 0, "~1.0") if self.new else request(name, n)

    def publish(self):
        """One of each template is applied; the others' statuses are made after its own."""
        where, requests = self.where, self.where / "requests.git"
        seeds = {name: next(n for n in range(self.total) if self.template(n) == name) for name in ("queue", "note")}
        first = [(f"requests/{place(n, self.total)}.yaml", self.request(name, n)) for name, n in seeds.items()]
        commit(requests, "main", first)
        config = where / "vend.yaml"
        config.write_text(
            f"catalog: {{repository: {where}/catalog.git}}\nrequests: [{{repository: {where}/requests.git}}]\n"
            f"stateDir: {where}/state\nproviders: {{files: {{allow: [{where}/output.git]}}}}\n"
        )
        timed([self.vend, "apply", "--quiet", "--config", config])
        texts = blobs(requests, "vend/status", "status/", 1)
        files, statuses = [], []
        for n in range(self.total):
            name, path = self.template(n), place(n, self.total)
            seed = place(seeds[name], self.total)
            files.append((f"requests/{path}.yaml", self.request(name, n)))
            statuses.append((f"status/{path}.yaml", texts[f"status/{seed}.yaml"].replace(seed, path)))
        commit(requests, "main", files)
        commit(requests, "vend/status", statuses)
        git("-C", requests, "repack", "-adq")

    def diff(self, *args):
        cache = {"XDG_CACHE_HOME": str(self.where / "cache")}
        return timed([self.vend, "catalog", "diff", *args], cwd=self.clone, env=cache)

    def took(self, runs):
        # The first one fetches; later ones find that nothing is new.
        told = json.loads(self.diff("--format", "json").out)
        expect((told["requests"], told["changed"], told["rendered"]), (self.total, self.users, self.users), "who is reached")
        queues = [place(n, self.total) for n in range(self.total) if self.template(n) == "queue"]
        waves = [sum(f"/{name}/" in path for path in queues) for name in ("dev", "prod")]
        groups = [("updates", n) for n in (waves if self.new else [self.users]) if n]
        expect([(g["effect"], g["count"]) for g in told["groups"]], groups, "what happens")
        took = [self.diff("--full") for _ in range(runs)]
        for run in took:
            expect(run.out.count(b"DelaySeconds: 2"), self.users, "differences shown")
        return took


def b11(folder, vend, runs, total=10_000):
    points = {}
    users = min(USERS, total // 4)
    sizes = {"one": (total, users), "users": (total, 2 * users), "total": (2 * total, users), "new": (total, users, True)}
    for name, size in sizes.items():
        where = folder / f"radius-{name}"
        points[name] = Radius(where, vend, *size).took(runs)
        shutil.rmtree(where)
    wall, cpu = ({n: least(t, w) for n, t in points.items()} for w in ("wall", "cpu"))
    rss = least(points["one"], "rss")
    row(f"B11 blast radius, {users} users, all diffs", total, f"{ms(wall['one'])}, {ms(cpu['one'])} CPU, {rss:.0f} MB", "", "", "2 s", wall["one"] <= 2)
    for name, label in (("users", f"{2 * users} users"), ("total", f"{2 * total:,} requests"), ("new", "a new version")):
        row(f"B11 with {label}", total, f"{ms(wall[name])}, {ms(cpu[name])} CPU", "", f"{cpu[name] / cpu['one']:.2f} x", "")
