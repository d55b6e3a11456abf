"""The second pass without the program: each registration once, after all that it depends on."""

from __future__ import annotations

import dataclasses
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from espalier.commands.project import open_project, program_of
from espalier.engine.executor import Later
from espalier.engine.manifest import kind_of, manifest_of, plan_outputs
from espalier.engine.model import Log, Recording, Resource
from espalier.engine.monitor import FAILED, Answer, Engine, Monitor
from espalier.engine.program import run
from espalier.engine.record import Planned, record
from espalier.engine.replay import is_whole, replay
from espalier.engine.standard import is_standard
from espalier.engine.values import UNKNOWN, Json

ROOT = Path(__file__).parents[2]


def resource(name: str, *dependencies: str, parent: str = "", provider: str = "", custom: bool = True) -> Resource:
    return Resource(
        urn=name,
        type="kubernetes:core/v1:ConfigMap",
        name=name,
        parent=parent,
        custom=custom,
        inputs={},
        dependencies=dependencies,
        property_dependencies={},
        provider=provider,
        options={},
    )


class Lines:
    """A backend that keeps the order; what it names `late` is answered from another thread after a while."""

    def __init__(self, late: tuple[str, ...] = ()) -> None:
        self.late = late
        self.lines: list[str] = []

    def register(self, resource: Resource) -> Answer | Later:
        self.lines.append(f"begin {resource.urn}")
        if resource.urn not in self.late:
            self.lines.append(f"end {resource.urn}")
            return Answer(resource.urn)
        answer = Later()

        def end() -> None:
            self.lines.append(f"end {resource.urn}")
            answer.set_result(Answer(resource.urn))

        threading.Timer(0.05, end).start()
        return answer


def test_each_begins_when_all_that_it_depends_on_is_answered() -> None:
    resources = [
        resource("stack", custom=False),
        resource("part", parent="stack", custom=False),
        resource("provider", parent="stack"),
        resource("definition", parent="part", provider="provider"),
        resource("object", "definition", parent="part", provider="provider"),
        resource("child", parent="object"),
        resource("elsewhere", "not-of-this-program"),
    ]
    log = Lines(late=("provider", "definition", "object"))
    replay(resources, log)
    chain = ["provider", "definition", "object", "child"]
    told = [line for line in log.lines if line.split()[1] in chain]
    assert told == [f"{word} {name}" for name in chain for word in ("begin", "end")]
    assert sorted(log.lines) == sorted(f"{word} {n}" for n in [*chain, "elsewhere"] for word in ("begin", "end"))


def test_what_waits_holds_no_thread_and_what_failed_is_the_backends_matter() -> None:
    names = [f"late-{number}" for number in range(100)]
    together, count = threading.Event(), len(names)
    seen: list[str] = []

    class Together:
        """Answers none of the late ones before all of them have begun: more than there are threads."""

        def __init__(self) -> None:
            self.open: list[Later] = []

        def register(self, resource: Resource) -> Answer | Later:
            seen.append(resource.urn)
            if not resource.urn.startswith("late"):
                return FAILED
            answer = Later()
            self.open.append(answer)
            if len(self.open) == count:
                together.set()
            return answer

        def answer(self) -> None:
            assert together.wait(60)
            for each in self.open:
                each.set_result(FAILED)

    backend = Together()
    answers = threading.Thread(target=backend.answer)
    answers.start()
    replay([*(resource(name) for name in names), resource("after", *names)], backend)
    answers.join()
    assert sorted(seen) == sorted([*names, "after"])
    assert seen[-1] == "after"


def test_an_error_of_the_backend_ends_it() -> None:
    class Broken(Lines):
        def register(self, resource: Resource) -> Answer | Later:
            if resource.urn == "b":
                raise RuntimeError("no")
            return super().register(resource)

    log = Broken()
    with pytest.raises(RuntimeError, match="no"):
        replay([resource("a"), resource("b", "a"), resource("c", "b")], log)
    assert log.lines == ["begin a", "end a"]


def test_a_recording_with_an_unknown_is_not_whole() -> None:
    def recording(outputs: dict[str, Json], inputs: dict[str, Json]) -> Recording:
        one = dataclasses.replace(resource("a"), inputs=inputs)
        return Recording(project="p", stack="s", resources=(one,), outputs=outputs, logs=())

    assert is_whole(recording({"a": 1}, {"b": [2]}))
    warned = Log("warning", "left out, and not deleted")
    assert not is_whole(dataclasses.replace(recording({}, {}), logs=(warned,)))
    assert not is_whole(recording({"a": {"deep": UNKNOWN}}, {}))
    assert not is_whole(recording({}, {"b": [{"deep": UNKNOWN}]}))


def test_the_projects_own_program_is_the_standard_one() -> None:
    assert is_standard(ROOT)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "pulumi.export('x', platform.namespaces.apply(len))\n",
        "if:",
        "\0",
    ],
    ids=["none", "more", "no Python", "a null byte"],
)
def test_any_other_program_is_not(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "__main__.py").write_text((ROOT / "__main__.py").read_text() + text)
    assert not is_standard(tmp_path)


def test_layout_and_comments_do_not_count(tmp_path: Path) -> None:
    lines = (ROOT / "__main__.py").read_text().splitlines()
    (tmp_path / "__main__.py").write_text("\n\n".join(["# ours", *lines[1:]]))
    assert is_standard(tmp_path)


class Live(Planned):
    """Answers as an API server would: with what only it can tell."""

    def register(self, resource: Resource) -> Answer:
        planned = super().register(resource)
        kind = kind_of(resource)
        if kind is None:
            return planned
        manifest = manifest_of(resource, kind)
        outputs: dict[str, Any] = dict(plan_outputs(manifest, kind, resource))
        metadata = dict(manifest["metadata"])
        outputs["metadata"] = {**metadata, "uid": "of the server", "resourceVersion": "7"}
        outputs["status"] = {"phase": "Active"}
        return Answer(planned.id or "an id", outputs)


@pytest.mark.parametrize("stack", ["local", "elastic"])
def test_the_standard_program_registers_the_same_whatever_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stack: str
) -> None:
    for name in ("Pulumi.yaml", "__main__.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "stacks", tmp_path / "stacks")
    monkeypatch.chdir(tmp_path)
    program = program_of(open_project(stack))
    assert program.asks_nothing
    first = record(program)
    engine = Engine()
    monitor = Monitor(program.project, program.stack, Live())
    run(program, monitor, engine, dry_run=False)
    assert is_whole(first)
    assert monitor.recording(engine.logs()) == first
