"""Mangled stack files: each report names exactly the key paths that were broken, and nothing but Mistakes is raised."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from espalier.commands.project import read_stack
from espalier.settings import load_file
from espalier.settings.tree import MAX_DEPTH, path_text
from espalier.types import Mistake, Mistakes

EXAMPLES = 1100
BYTE_EXAMPLES = 400
ONE_RUN = settings(
    derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck), max_examples=EXAMPLES
)

Where = tuple[str | int, ...]


class Raw(str):
    """YAML text that is put into the file as it is."""


class Key(str):
    """A key that is put into the file as it is; two that look the same are two keys."""

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


# A valid stack file, in as many shapes as matter ---------------------------------------------------------------


def a_pool(draw: random.Random, index: int) -> dict[str, Any]:
    least = draw.randint(0, 3)
    pool: dict[str, Any] = {"name": f"pool-{index}", "nodes": {"min": least, "max": least + draw.randint(3, 9)}}
    if draw.random() < 0.5:
        pool["nodes"]["start"] = least + 1
    if draw.random() < 0.6:
        pool |= {"accelerator": "H100-80", "count": 8}
        if draw.random() < 0.5:
            pool["sharing"] = draw.choice([{"mig": "all-1g.10gb"}, {"time-slices": 4}, {"mps": 4}])
    else:
        pool["machine"] = draw.choice([{"cpu": 8, "memory": "32Gi"}, "p5.48xlarge"])
    if draw.random() < 0.5:
        pool["capacity"] = ["spot", "on-demand"]
    if draw.random() < 0.5:
        pool["labels"] = {"example.com/team": "vision", "tier": "one"}
    return pool


def a_tenant(draw: random.Random, index: int) -> dict[str, Any]:
    names = ["dev", "prod", "test"][: draw.randint(1, 3)]
    share = {"cpu": 10, "memory": "100Gi", "storage": "1Ti", "devices": {"nvidia.com/gpu": 2}}
    spaces: list[Any] = [{"name": name, "quota": json.loads(json.dumps(share))} for name in names]
    return {
        "name": f"team-{index}",
        "groups": {"edit": [f"engineers-{index}", "builders"], "view": ["readers"]},
        "workspaces": spaces if len(spaces) > 1 or draw.random() < 0.5 else ["team"],
        "quota": {"cpu": 40, "memory": "500Gi", "storage": "4Ti", "devices": {"nvidia.com/gpu": 8}},
        "pod-security": "restricted",
    }


def a_stack(draw: random.Random) -> dict[str, Any]:
    existing = {"kind": "existing", "version": "1.36", "kubeconfig": "~/.kube/config", "context": "ml"}
    simulated = {"kind": "simulated", "version": "1.36", "name": "sim-one"}
    price = {"on-demand": 2.5, "spot": 1, "source": "a contract", "date": "2026-07-20"}
    waiver = {"policy": "pinned-images", "resource": "x-*", "reason": "agreed on with the owner"}
    return {
        "cluster": draw.choice([existing, simulated]),
        "pools": [a_pool(draw, index) for index in range(draw.randint(1, 3))],
        "tenants": [a_tenant(draw, index) for index in range(draw.randint(1, 3))],
        "addons": {"nvidia-device-plugin": {"option": {"deep": 1}}, "cert-manager": {}},
        "prices": {"pool-0": price},
        "cost": {"ceiling": 400},
        "waivers": [waiver],
    }


# Breakages: each changes the tree, and says which paths must be reported -----------------------------------------

TEXTS = [
    *map(Raw, ("1.30", "7", "true", "no", "Off", "y", "0x10", "0o17", "017", "1_0", "12:30", "2026-01-01", ".inf")),
    *map(Raw, ("*nowhere", "!!str x", "!!binary aGk=", "{a: 1}", "[]", '"bell \\a"', "=", "null")),
    {"secure": "v1:YWJj:ZGVm"},
    10**30,
]
NUMBERS = [
    "8",
    -1,
    10**30,
    True,
    {},
    [],
    *map(Raw, ("1e999", "-.inf", ".nan", "010", "0b1", "1:30", "!!int 3", "*nowhere", "yes")),
]
MAPPINGS = [7, [], [{}], Raw("1.5"), Raw("*nowhere"), Raw("!thing {}"), Raw("[" * 60 + "]" * 60), {"secure": "v1:x:y"}]
LISTS = [7, "text", {}, None, Raw("1.5"), Raw("*nowhere"), Raw("!!set {a}"), Raw("{a: " * 60 + "1" + "}" * 60)]
OPTIONAL = {"name", "accelerator", "start", "storage", "memory"}  # keys that may be null somewhere
REQUIRED = {"kubeconfig", "context", "nodes", "max", "date", "policy", "resource", "reason"}
PATTERNED = {"version", "name", "machine", "date", "mig", "memory", "storage", "pod-security", "kind"}
OPEN = {"labels": "a b", "devices": "gpu"}  # mappings with patterns for keys, and a key that does not fit


def leaves(value: Any, path: Where = ()) -> Iterator[tuple[Where, Any, str | int, Any]]:
    """Every place in the tree: its path, container, key and value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in list(items):
        yield (*path, key), value, key, child
        yield from leaves(child, (*path, key))


Breakage = tuple[str, list[Where], list[Where], Callable[[], None]]
"""What it does; the paths that must be reported; further paths that no other breakage may touch; the change."""


def breakages(tree: dict[str, Any], draw: random.Random) -> Iterator[Breakage]:
    for path, container, key, value in leaves(tree):
        if key == "kind":  # what the other keys must be hangs on it
            yield from kind_breakages(path, container, draw)
            continue
        free = path[0] == "addons" and len(path) > 2
        if not free:
            wrong = draw.choice(wrong_values(path, key, value))
            yield f"value {wrong!r}", [path], [], lambda c=container, k=key, w=wrong: c.__setitem__(k, w)
        else:
            deep = Raw("[" * 60 + "]" * 60)
            end = (*path, *([0] * (MAX_DEPTH - len(path) - 1)))  # one level is `config:`
            yield "too deep", [end], [path], lambda c=container, k=key, w=deep: c.__setitem__(k, w)
        if isinstance(container, dict):
            yield "twice", [path], [], lambda c=container, k=key: c.__setitem__(Key(json.dumps(k)), Raw("1"))
        if isinstance(container, dict) and key in REQUIRED:
            yield "missing", [path], [], lambda c=container, k=key: c.pop(k)
        if isinstance(container, dict) and len(path) > 1 and is_closed(path[:-1]):
            typo = f"{key}{str(key)[-1]}"
            yield "typo", [(*path[:-1], typo)], [path], lambda c=container, k=key, t=typo: c.__setitem__(t, c.pop(k))
        if isinstance(value, dict):
            yield from in_mapping(path, value, draw)
    yield from between_keys(tree)


def kind_breakages(path: Where, cluster: dict[str, Any], draw: random.Random) -> Iterator[Breakage]:
    wrong = draw.choice(["ecs", "", 7, None, [], Raw("no"), Raw("*nowhere")])
    yield f"value {wrong!r}", [path], [path[:-1]], lambda: cluster.__setitem__("kind", wrong)
    yield "missing", [path], [path[:-1]], lambda: cluster.pop("kind")
    yield "typo", [(*path[:-1], "kinds")], [path[:-1]], lambda: cluster.__setitem__("kinds", cluster.pop("kind"))


def wrong_values(path: Where, key: str | int, value: Any) -> list[Any]:
    if isinstance(value, dict):
        return MAPPINGS
    if isinstance(value, list):
        return LISTS
    if isinstance(value, str):
        fits = [w for w in TEXTS if not (w == "null" and (key in OPTIONAL or path[-2:][0] == "machine"))]
        taken = "machine" if path[-1] == "machine" else "workspaces" if path[-2] == "workspaces" else ""
        if taken:  # a mapping may stand there: its own keys would be judged
            fits = [w for w in fits if w != "{a: 1}"]
        if key == "accelerator":
            fits = [w for w in fits if w != "null"]
        return [*fits, *(["A b!", "x" * 10_000] if key in PATTERNED else [])]
    money = isinstance(value, float) or path[0] == "prices" or key == "ceiling"
    return NUMBERS if money else [*NUMBERS, 1.5, Raw("8.0")]


def is_closed(path: Where) -> bool:
    """Whether the mapping at a path takes known keys only."""
    return not (path[-1] in OPEN or path == ("prices",) or path[0] == "addons")


def in_mapping(path: Where, value: dict[Any, Any], draw: random.Random) -> Iterator[Breakage]:
    merge = Key("<<")
    yield "merge key", [(*path, "<<")], [], lambda: value.__setitem__(merge, Raw("{a: 1}"))
    for text in draw.sample(["3", "1.5", "true", "no", "2026-01-01", "null"], 2):
        yield f"key {text}", [(*path, text)], [], lambda t=text: value.__setitem__(Key(t), 1)
    if is_closed(path):
        yield "unknown", [(*path, "zzz")], [], lambda: value.__setitem__("zzz", draw.choice([1, "no", [], {"a": 1}]))
    if path[-1] in OPEN:
        bad = OPEN[str(path[-1])]
        # A tenant's quota bounds its workspaces' devices: a further device is a mistake in one place only.
        fine: Any = "one" if path[-1] == "labels" else 0
        yield "bad key", [(*path, bad)], [], lambda: value.__setitem__(bad, fine)


def between_keys(tree: dict[str, Any]) -> Iterator[Breakage]:
    for index, pool in enumerate(tree["pools"]):
        nodes = pool["nodes"]
        at: Where = ("pools", index, "nodes")
        yield "min > max", [(*at, "min")], [at], lambda n=nodes: n.__setitem__("min", n["max"] + 1)
        yield "start > max", [(*at, "start")], [at], lambda n=nodes: n.__setitem__("start", n["max"] + 1)
        if "accelerator" not in pool:
            whole: Where = ("pools", index)
            yield "count alone", [(*whole, "count")], [whole], lambda p=pool: p.__setitem__("count", 4)
            yield "no machine", [whole], [whole], lambda p=pool: p.pop("machine")
        if "sharing" in pool:
            both = {"mig": "all-1g.10gb", "mps": 4}
            yield "sharing", [("pools", index, "sharing")], [], lambda p=pool, b=both: p.__setitem__("sharing", b)
    for key in ("pools", "tenants"):
        for index, item in enumerate(tree[key][1:], start=1):
            first = tree[key][0]["name"]
            touched: list[Where] = [(key, 0), (key, index)]
            yield "same name", [(key, index, "name")], touched, lambda i=item, f=first: i.__setitem__("name", f)
    for index, tenant in enumerate(tree["tenants"]):
        at = ("tenants", index)
        yield (
            "roles",
            [(*at, "groups", "edit", 1)],
            [at],
            lambda t=tenant: t["groups"]["edit"].__setitem__(1, "readers"),
        )
        if isinstance(tenant["workspaces"][0], dict):
            yield "sum", [(*at, "quota", "cpu")], [at], lambda t=tenant: t["quota"].__setitem__("cpu", 1)
            gone: Where = (*at, "workspaces", 0, "quota", "devices", "amd.com/gpu")
            spaces = tenant["workspaces"]
            yield "device", [gone], [at], lambda s=spaces: s[0]["quota"]["devices"].__setitem__("amd.com/gpu", 1)
        if len(tenant["workspaces"]) > 1:
            lost: Where = (*at, "workspaces", 1)
            yield "no quota", [(*lost, "quota")], [at], lambda t=tenant: t["workspaces"][1].pop("quota")
    price = tree["prices"]["pool-0"]
    prices: Where = ("prices", "pool-0")
    yield "no price", [prices], [prices], lambda: [price.pop(kind) for kind in ("on-demand", "spot")] and None


def related(one: Where, other: Where) -> bool:
    return one[: len(other)] == other or other[: len(one)] == one


def chosen(tree: dict[str, Any], draw: random.Random, count: int) -> list[Breakage]:
    """Up to `count` breakages, none of which is above or beneath another."""
    everything = list(breakages(tree, draw))
    picked: list[Breakage] = []
    for one in draw.sample(everything, min(len(everything), 4 * count)):
        mine = one[1] + one[2]
        if len(picked) < count and not any(related(a, b) for p in picked for a in p[1] + p[2] for b in mine):
            picked.append(one)
    return picked


# Writing it as YAML, with the line of each path ------------------------------------------------------------------


class Writer:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.line_of: dict[Where, int] = {}

    def put(self, lead: str, value: Any, path: Where, indent: int) -> None:
        if isinstance(value, dict | list) and value:
            self.lines.append(lead)
            items = value.items() if isinstance(value, dict) else enumerate(value)
            for key, child in items:
                shown = "-" if isinstance(value, list) else f"{key if isinstance(key, Key) else json.dumps(key)}:"
                step = key if isinstance(value, list) else str(key).strip('"') if isinstance(key, Key) else key
                self.put("  " * indent + shown, child, (*path, step), indent + 1)
        else:
            text = value if isinstance(value, Raw) else json.dumps(value, ensure_ascii=False)
            self.lines.append(f"{lead} {text}")
            self.line_of[path] = len(self.lines)


def written(tree: dict[str, Any], extends: list[str]) -> Writer:
    writer = Writer()
    writer.lines.append("config:")
    if extends:
        writer.lines.append(f"  espalier:extends: {json.dumps(extends)}")
    for key, value in tree.items():
        shown = str(key).strip('"') if isinstance(key, Key) else key
        writer.put(f'  "espalier:{shown}":', value, (shown,), 2)
    return writer


def mistakes_of(path: Path) -> tuple[Mistake, ...]:
    """What is reported of a file. Anything else that it raised would fail the test."""
    try:
        load_file(path)
    except Mistakes as mistakes:
        return mistakes.mistakes
    return ()


def reported(path: Path) -> dict[str, set[int | None]]:
    found: dict[str, set[int | None]] = {}
    for mistake in mistakes_of(path):
        assert mistake.got
        assert mistake.accepted
        assert mistake.do
        found.setdefault(mistake.path, set()).add(mistake.line)
    return found


def told_by_commands(path: Path) -> set[str]:
    """These look on, at pools and add-ons that could be read all the same."""
    try:
        read_stack(path)
    except Mistakes as mistakes:
        return {mistake.path for mistake in mistakes.mistakes}
    return set()


def full(path: Where, in_base: set[str]) -> str:
    text = path_text((f"espalier:{path[0]}", *path[1:]))
    return f"base.yaml: {text}" if path[0] in in_base else text


def test_each_report_names_exactly_the_paths_that_were_broken(tmp_path: Path) -> None:
    ran = broken = 0
    kinds: set[str] = set()
    stack = tmp_path / "Pulumi.mangled.yaml"

    @ONE_RUN
    @given(st.integers(0, 2**32), st.integers(1, 6), st.booleans())
    def mangle(seed: int, count: int, split: bool) -> None:
        nonlocal ran, broken
        draw = random.Random(seed)  # noqa: S311 - hypothesis chooses the seed
        tree = a_stack(draw)
        picked = chosen(tree, draw, count)
        for _, _, _, change in picked:
            change()
        in_base = {"pools", "prices", "cluster"} if split else set[str]()
        base = written({k: v for k, v in tree.items() if k.strip('"') in in_base}, [])
        own = written({k: v for k, v in tree.items() if k.strip('"') not in in_base}, ["base"] if split else [])
        (tmp_path / "base.yaml").write_text("\n".join(base.lines) + "\n")
        stack.write_text("\n".join(own.lines) + "\n")
        expected = {full(path, in_base): path for _, paths, _, _ in picked for path in paths}
        found = reported(stack)
        what = [one[0] for one in picked]
        assert set(found) == set(expected), (what, stack.read_text(), (tmp_path / "base.yaml").read_text())
        for text, path in expected.items():
            line = (base if path[0] in in_base else own).line_of.get(path)
            assert line is None or line in found[text], (text, line, found[text], what)
        assert told_by_commands(stack) >= set(found)
        ran += 1
        broken += len(picked)
        kinds.update(kind.split(" ")[0] for kind in what)

    mangle()
    assert ran >= 1000
    assert broken > 2 * ran
    assert kinds >= {"value", "too", "twice", "missing", "typo", "merge", "key", "unknown", "bad", "min", "sum", "same"}


def test_any_bytes_end_in_mistakes_that_say_where(tmp_path: Path) -> None:
    ran = refused = 0
    stack = tmp_path / "Pulumi.bytes.yaml"
    whole = "\n".join(written(a_stack(random.Random(1)), []).lines).encode()  # noqa: S311

    @settings(ONE_RUN, max_examples=BYTE_EXAMPLES)
    @given(st.integers(0, len(whole)), st.binary(max_size=40) | st.sampled_from(TRICKS), st.booleans())
    def fuzz(at: int, what: bytes, cut: bool) -> None:
        nonlocal ran, refused
        stack.write_bytes(whole[:at] + what + (b"" if cut else whole[at + len(what) :]))
        ran += 1
        found = mistakes_of(stack)
        refused += bool(found)
        assert all(m.path and m.got and m.accepted and m.do and m.line for m in found)
        assert told_by_commands(stack) >= {mistake.path for mistake in found}

    fuzz()
    assert ran >= BYTE_EXAMPLES * 0.9
    assert refused > ran / 2


TRICKS = [
    b"\xef\xbb\xbf",
    b"\x00",
    b"\x85",
    "\u2028\u0085".encode(),
    b"\t",
    b"\n---\n",
    b"\n...\n",
    b"%YAML 1.1\n---\n",
    b"&a [*a]",
    b"{" * 100_000,
    b"[" * 100_000,
    b"- " * 5_000,
    b"? " * 5_000,
    b'"\\ud800"',
    b"!!python/object/apply:os.system [ls]",
    b"9" * 100_000,
    b"|+\n",
    b"'",
    b"#",
    b": : :",
]


HOSTILE = [
    b"[" * 5_000_000,
    b"{" * 5_000_000,
    b"config: {a: " + b"[" * 2_000_000,
    b"config: [" + b"1," * 2_000_000 + b"]",
    b"config: " + b"- " * 2_000_000,
    b"config:\n  k0: &a0 [1]\n" + b"".join(b"  k%d: &a%d [*a%d, *a%d]\n" % (n, n, n - 1, n - 1) for n in range(1, 99)),
    b"config: " + b"9" * 5_000_000,
    b"x" * (5 * 2**20 + 1),
]


@pytest.mark.parametrize("data", HOSTILE, ids=lambda data: repr(data[:16]))
def test_a_hostile_file_costs_no_more_than_seconds(tmp_path: Path, data: bytes) -> None:
    stack = tmp_path / "Pulumi.hostile.yaml"
    stack.write_bytes(data)
    began = time.process_time()
    assert mistakes_of(stack)
    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    "text", ["", " ", "\n", "---", "# only a comment\n", "null", "[]", "3", "config:", "config: []"]
)
def test_a_file_with_nothing_in_it_is_told_what_belongs_there(tmp_path: Path, text: str) -> None:
    stack = tmp_path / "Pulumi.empty.yaml"
    stack.write_text(text)
    with pytest.raises(Mistakes, match="config") as caught:
        load_file(stack)
    assert len(caught.value.mistakes) == 1
    assert caught.value.mistakes[0].line
