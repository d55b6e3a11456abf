"""`preview`, `up` and `destroy` by the Pulumi CLI: it shows and asks; what it did is read from its log of events.

The log and its switches are those of Pulumi's Automation API, which runs the same command but hides its display and its
questions (pulumi, sdk/python/lib/pulumi/automation/_stack.py).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml

from espalier import failures
from espalier.commands.project import Project
from espalier.engine.changes import Change, Op
from espalier.engine.errors import EngineError
from espalier.engine.model import PROVIDER_PREFIX
from espalier.failures import Missing
from espalier.report.console import Output
from espalier.report.documents import ErrorEntry, header

Verb = Literal["preview", "up", "destroy"]
Event = Mapping[str, Any]

_OPS: Mapping[str, Op] = {
    "create": "create",
    "import": "create",
    "update": "update",
    "replace": "replace",
    "create-replacement": "replace",
    "delete-replaced": "replace",
    "import-replacement": "replace",
    "delete": "delete",
    "same": "same",
}
"""Pulumi's steps (sdk/go/common/apitype/history.go) in a document's words; others, such as read, change nothing."""
_POLICIES = Path(__file__).parents[1] / "policies"
_COLOUR = re.compile(r"<\{%.*?%\}>")
"""Pulumi's marks of colour inside messages (sdk/go/common/diag/colors)."""


def found() -> bool:
    """Whether there is a Pulumi CLI."""
    return shutil.which("pulumi") is not None


def run(project: Project, verb: Verb, out: Output, *, yes: bool) -> int:
    """Runs `pulumi VERB` on the stack, with the policies; writes the document.

    Raises Missing where Pulumi has no backend or no such stack: neither is made without being asked for.
    """
    if not yes and verb != "preview" and not sys.stdin.isatty():
        raise Missing("nobody to ask: standard input is not a terminal", "Say --yes to go on without being asked.")
    require_stack(project)
    code, said, events = _logged(project, verb, yes, quiet=out.as_json)
    sys.stderr.write(said)
    errors = list(_errors(events, said)) if code else []
    rows: list[Any] = [change.to_json() for change in changes(events, planned=verb == "preview")]
    out.document({**header(verb, errors), "stack": project.stack.name, "changes": rows, "waves": []})
    return failures.FAILED if code else 0


def preview_changes(project: Project) -> list[Change]:
    """What `pulumi up` would do, without showing it. Raises EngineError where a preview cannot be had."""
    try:
        require_stack(project)
    except Missing as missing:
        raise EngineError(str(missing)) from None
    code, said, events = _logged(project, "preview", yes=False, quiet=True)
    if code:
        raise EngineError("; ".join(f"{error['path']}: {error['got']}" for error in _errors(events, said)))
    return changes(events, planned=True)


def would_destroy(project: Project, out: Output) -> None:
    """Shows what `pulumi destroy` would delete. Raises EngineError where it would refuse, as for what is protected."""
    command = ["pulumi", "destroy", "--preview-only", "--non-interactive", *_where(project)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise EngineError(f"nothing was changed: Pulumi would not destroy it: {_plain(done.stderr or done.stdout)}")
    out.people.print(_plain(done.stdout), markup=False)


def outputs(project: Project) -> dict[str, Any]:
    """The stack's exports, secrets in plain; empty for a stack that was never up. Raises EngineError."""
    command = ["pulumi", "stack", "output", "--json", "--show-secrets", "--non-interactive", *_where(project)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise EngineError(f"Pulumi does not tell the stack's outputs: {_plain(done.stderr)}")
    found = json.loads(done.stdout or "{}")
    return found if isinstance(found, dict) else {}


def _where(project: Project) -> list[str]:
    return ["--stack", project.stack.name, "--cwd", str(project.root)]


def _logged(project: Project, verb: Verb, yes: bool, *, quiet: bool) -> tuple[int, str, list[Event]]:
    """Runs Pulumi; gives its exit code, what it said on stderr where that is kept from people, and its events."""
    with tempfile.TemporaryDirectory(prefix="espalier-") as folder:
        log = Path(folder) / "events.json"
        command = [*_command(project, verb, yes), "--event-log", str(log)]
        command += [] if verb == "destroy" else ["--policy-pack", str(_policy_pack(Path(folder) / "policies"))]
        done = subprocess.run(
            command,
            check=False,
            env={**os.environ, "PULUMI_DEBUG_COMMANDS": "true"},  # makes --event-log known to the command
            stdout=sys.stderr if quiet else None,
            stderr=subprocess.PIPE if quiet else None,
            text=True,
        )
        return done.returncode, done.stderr or "", _last_run(log)


def _command(project: Project, verb: Verb, yes: bool) -> list[str]:
    command = ["pulumi", verb, *_where(project)]
    if verb != "preview" and yes:
        command += ["--yes", "--skip-preview"] if verb == "destroy" else ["--yes"]
    if not sys.stdin.isatty():
        command.append("--non-interactive")
    return command


def _policy_pack(folder: Path) -> Path:
    """The pack of policies/ with this very Python: what its own PulumiPolicy.yaml names is there in a checkout only."""
    folder.mkdir()
    for name in ("PulumiPolicy.yaml", "__main__.py"):
        shutil.copy(_POLICIES / name, folder / name)
    described = yaml.safe_load((folder / "PulumiPolicy.yaml").read_text("utf-8"))
    described["runtime"]["options"] = {"toolchain": "pip", "virtualenv": sys.prefix}
    (folder / "PulumiPolicy.yaml").write_text(yaml.safe_dump(described), "utf-8")
    return folder


def require_stack(project: Project) -> None:
    """Asks Pulumi for the project's stacks. Raises Missing where it has no backend, or not this stack."""
    listed = subprocess.run(
        ["pulumi", "stack", "ls", "--json", "--non-interactive", "--cwd", str(project.root)],
        check=False,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        reason = listed.stderr.strip().removeprefix("error: ") or "it gave no reason"
        do = (
            "Log in (pulumi login), or name a backend by PULUMI_BACKEND_URL: a bucket such as s3://..., "
            "or file://... for a folder of this machine."
        )
        raise Missing(f"Pulumi has no backend that it can use to keep the stack's state: {reason}", do)
    names = [str(stack["name"]) for stack in json.loads(listed.stdout)]
    if project.stack.name not in {name.rpartition("/")[2] for name in names}:
        do = f"Make it: pulumi stack init {project.stack.name}"
        raise Missing(f"Pulumi's backend has no stack {project.stack.name} of this project", do)


def _last_run(log: Path) -> list[Event]:
    """The events of the log's last run: an update's own, without those of the preview before it."""
    if not log.is_file():
        return []
    events: list[Event] = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    begins = [place for place, event in enumerate(events) if "preludeEvent" in event]
    return events[begins[-1] :] if begins else events


def changes(events: Iterable[Event], *, planned: bool) -> list[Change]:
    """What happens (`planned`) or happened to each resource that stands for something outside: no components.

    Sorted by URN. Of a replacement's several steps one change is told.
    """
    kind = "resourcePreEvent" if planned else "resOutputsEvent"
    found: dict[str, Change] = {}
    for event in events:
        if kind not in event:
            continue
        step = event[kind]["metadata"]
        op = _OPS.get(step["op"])
        state = step.get("new") or step.get("old") or {}
        if op is None or not state.get("custom") or step["type"].startswith(PROVIDER_PREFIX):
            continue
        before = found.get(step["urn"])
        fields = step.get("detailedDiff") or dict.fromkeys(step.get("diffs") or ())
        found[step["urn"]] = Change(step["urn"], op, tuple(sorted({*fields, *(before.fields if before else ())})))
    return sorted(found.values())


def _errors(events: Iterable[Event], said: str) -> Iterator[ErrorEntry]:
    """What went wrong: refused by a policy, failed; or what Pulumi said before there was anything to log."""
    count = 0
    for event in events:
        violation, diagnostic = event.get("policyEvent"), event.get("diagnosticEvent")
        if violation is not None and violation["enforcementLevel"] == "mandatory":
            path = f"policy {violation['policyName']}"
            yield failures.entry(path, f"{violation.get('resourceUrn', '')}: {_plain(violation['message'])}")
            count += 1
        elif diagnostic is not None and diagnostic["severity"] == "error" and not diagnostic.get("ephemeral"):
            yield failures.entry(diagnostic.get("urn") or "pulumi", _plain(diagnostic["message"]))
            count += 1
    if not count:
        yield failures.entry("pulumi", _plain(said) or "failed; its own output says why")


def _plain(message: str) -> str:
    return _COLOUR.sub("", message).strip()
