"""Documents as tables for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from espalier.report.documents import (
    AddonsDocument,
    ChangesDocument,
    CheckDocument,
    ErrorEntry,
    PlanDocument,
    PolicyEntry,
    PreflightDocument,
    QueuesEntry,
    StatusDocument,
    VerifyDocument,
)

_OPS = {"create": "green", "update": "yellow", "replace": "magenta", "delete": "red"}
_SHOWN = 40
"""Rows of a table for people; the document holds all."""


def show_plan(console: Console, document: PlanDocument) -> None:
    """Pools, tenants, add-ons, money, proofs and policies, in the order in which people ask."""
    count = len(document["kubernetes"])
    console.print(
        f"[bold]{escape(document['stack'])}[/bold]: {len(document['resources'])} resources, {count} Kubernetes objects"
    )
    console.print(pools_table(document["pools"], document["cost"]))
    if any(pool["owners"] for pool in document["pools"]):
        console.print(owners_table(document["pools"]))
    console.print(tenants_table(document["tenants"]))
    if queues := document["queues"]:
        show_queues(console, queues)
    if document["addons"]:
        console.print(_addons_of_stack(document["addons"]))
    for line in held_lines({addon["id"]: addon["held"] for addon in document["addons"] if addon["held"]}):
        console.print(f"  {line}", markup=False)
    for addon in document["addons"]:
        if addon["withheld"]:
            console.print(f"  {addon['id']}: no pods here to serve {', '.join(addon['withheld'])}", markup=False)
    cost = document["cost"]
    stale = ", by stale prices" if cost["stale"] else ""
    console.print(f"Cost an hour: {money(cost['min'])} to {money(cost['max'])} {cost['currency']}{stale}")
    for missing in cost["unknown"]:
        console.print(f"  no price for {escape(missing)}: add it under espalier:prices")
    for day in sorted({entry["date"] for entry in cost["stale"]}):
        prices = ", ".join(entry["price"] for entry in cost["stale"] if entry["date"] == day)
        console.print(f"  stale, of {day}: {prices}: give what holds now under espalier:prices", markup=False)
    for note in document["notes"]:
        console.print(f"Note: {note}", markup=False)
    show_proofs(console, document["proofs"], [addon["held"] for addon in document["addons"] if addon["held"]])
    show_policies(console, document["policies"])


def held_lines(held: Mapping[str, str]) -> Iterator[str]:
    """Why add-ons are held up, by add-on: a line for all whose source is what tells them apart, else one for each."""
    groups: dict[str, list[str]] = {}
    for id, why in held.items():
        # "<address> <version> is not pinned by <lock>. <what to do>"
        source, _, rest = why.partition(" is ")
        groups.setdefault(rest if "://" in source else why, []).append(id)
    for rest, ids in groups.items():
        if len(ids) > 1:
            yield f"held up, {rest.removesuffix('.')}: {', '.join(ids)}"
        else:
            yield f"{ids[0]} is held up, {held[ids[0]]}"


def pools_table(pools: Sequence[Mapping[str, Any]], cost: Mapping[str, Any]) -> Table:
    """A line a pool; the last column is what it costs an hour at its smallest and largest."""
    table = _table("Pool", "Machine", "Nodes", "Devices a node", "Capacity", "USD/h")
    stale = {entry["price"].rpartition("/")[0] for entry in cost["stale"]}
    ranges = {
        row["pool"]: f"{money(row['min'])} to {money(row['max'])}{', stale' if row['pool'] in stale else ''}"
        for row in cost["pools"]
    }
    for pool in pools:
        nodes = pool["nodes"]
        prices = next(iter(pool["device_prices"].values()), {})
        devices = ", ".join(
            f"{count} {name}{f' at {money(prices[name])}' if isinstance(prices.get(name), float) else ''}"
            for name, count in pool["devices"].items()
        )
        table.add_row(
            escape(pool["name"]),
            escape(pool["machine"]),
            f"{nodes['min']} to {nodes['max']}, starts at {nodes['start']}",
            escape(devices) or "none",
            ", ".join(pool["capacity"]),
            ranges[pool["name"]],
        )
    return table


def owners_table(pools: Sequence[Mapping[str, Any]]) -> Table:
    """A line a pool with devices: who owns each part of what they need."""
    having = [pool for pool in pools if pool["owners"]]
    parts = list(having[0]["owners"]) if having else []
    table = _table("Pool", *(part.replace("-", " ").capitalize() for part in parts))
    for pool in having:
        owners = pool["owners"].values()
        table.add_row(escape(pool["name"]), *(escape(owner["addon"] or owner["who"]) for owner in owners))
    return table


def tenants_table(tenants: Sequence[Mapping[str, Any]]) -> Table:
    """A line a namespace with its ceiling."""
    table = _table("Tenant", "Namespace", "Quota (requests)", "Groups", "At most a month")
    for tenant in tenants[:_SHOWN]:
        groups = "; ".join(f"{role}: {', '.join(members)}" for role, members in tenant["groups"].items())
        for namespace, hard in tenant["quota"].items():
            asked = "; ".join([_quota(hard), *kinds_text(tenant["kinds"].get(namespace, {}))])
            named = (tenant["name"], namespace, asked, groups, _month(tenant["month"]))
            table.add_row(*(escape(cell) for cell in named))
    if len(tenants) > _SHOWN:
        table.add_row(f"and {len(tenants) - _SHOWN} more", "--json lists all", "", "", "")
    return table


def _month(month: Mapping[str, Any] | None) -> str:
    """What all of a tenant's quota may cost; of its budget where it has one."""
    if month is None:
        return ""
    if month["worst"] is None:
        return f"not known: no price of {', '.join(month['unknown'])}"
    budget = "" if month["budget"] is None else f" of {month['budget']:,.0f}"
    return f"{month['worst']:,.0f}{budget} USD"


def show_queues(console: Console, queues: QueuesEntry) -> None:
    """A line a tenant and device: what is its by right, what it may have at most, and where it is looked for."""
    table = _table(f"Queue ({queues['system']})", "Device", "By right", "At most", "Tried in this order")
    rows = [
        (queue["tenant"], share)
        for queue in queues["queues"]
        for share in queue["devices"]
        if share["own"] or share["most"]
    ]
    for tenant, share in rows[:_SHOWN]:
        where = ", ".join(share["flavours"])
        table.add_row(escape(tenant), escape(share["device"]), str(share["own"]), str(share["most"]), escape(where))
    if len(rows) > _SHOWN:
        table.add_row(f"and {len(rows) - _SHOWN} more", "--json lists all", "", "", "")
    console.print(table)
    if queues["held"]:
        console.print(f"  queues wait for {queues['system']}, which is held up", markup=False)


def _quota(hard: Mapping[str, str]) -> str:
    asked = {key.removeprefix("requests."): value for key, value in hard.items() if key.startswith("requests.")}
    return ", ".join(f"{value} {key}" for key, value in asked.items() if value != "0")


def kinds_text(kinds: Mapping[str, Mapping[str, int]]) -> list[str]:
    """How many devices may be on spot nodes and on others, where a quota tells them apart."""
    where = {"spot": "on spot", "on-demand": "not on spot"}
    return [
        f"at most {count} {device} {where[side]}"
        for side, most in kinds.items()
        for device, count in sorted(most.items())
    ]


def _addons_of_stack(addons: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("Add-on", "Version", "Wave", "Content", "By")
    for addon in addons:
        by = f"profile {addon['profile']}" if addon["profile"] else ""
        table.add_row(escape(addon["id"]), addon["version"], str(addon["wave"]), addon["content"], by)
    return table


def show_proofs(console: Console, proofs: Sequence[Mapping[str, Any]], held: Sequence[str] = ()) -> None:
    """A summary, then what does not hold; what only waits for add-ons that are `held` up, as told before, by name."""
    if not proofs:
        return
    failed = [proof for proof in proofs if not proof["ok"]]
    waiting = [proof["name"] for proof in failed if any(why in proof["evidence"] for why in held)]
    wrong = [proof for proof in failed if proof["name"] not in waiting]
    tail = f", {_many(len(waiting), 'waits', 'wait')} for what is held up" if waiting else ""
    console.print(f"Proofs: {len(proofs) - len(failed)} hold, {_many(len(wrong), 'fails', 'fail')}{tail}")
    for proof in wrong:
        console.print(f"  [red]{escape(proof['name'])}[/red]: {escape(proof['evidence'])}")
    if waiting:
        console.print(f"  waiting: {', '.join(waiting)}", markup=False)


def show_policies(console: Console, policies: Sequence[PolicyEntry]) -> None:
    """A summary, then every finding and all that could not be judged."""
    failed = [policy for policy in policies if not policy["ok"]]
    console.print(f"Policies: {len(policies) - len(failed)} pass, {_many(len(failed), 'fails', 'fail')}")
    for policy in policies:
        colour = "red" if policy["level"] == "mandatory" else "yellow"
        for finding in policy["findings"]:
            name = finding["urn"].split("::", 3)[-1]
            if finding["waived"]:
                console.print(f"  waived {escape(policy['name'])} on {escape(name)}: {escape(finding['waived'])}")
            else:
                console.print(
                    f"  [{colour}]{escape(policy['name'])}[/{colour}] {escape(name)}: {escape(finding['message'])}"
                )
        for doubt in policy["not_judged"]:
            console.print(f"  [dim]not judged by {escape(policy['name'])}: {escape(doubt)}[/dim]")


def show_changes(
    console: Console,
    document: ChangesDocument,
    shown: int = _SHOWN,
    notes: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> None:
    """What changes, the first `shown` of it, and how much stays the same.

    `notes` says more of a change, by URN: who changed what is mended, what is deleted first.
    """
    changes = [change for change in document["changes"] if change["op"] != "same"]
    counts = {op: sum(change["op"] == op for change in document["changes"]) for op in (*_OPS, "same")}
    for change in changes[:shown]:
        name, kind = change["urn"].split("::", 3)[-1], change["urn"].split("::", 3)[-2].split("$")[-1]
        colour = _OPS[change["op"]]
        fields = f"  {', '.join(change['fields'])}" if change["fields"] else ""
        console.print(
            f"  [{colour}]{change['op']:8}[/{colour}] {escape(name)} [dim]{escape(kind)}[/dim]{escape(fields)}"
        )
        for note in notes.get(change["urn"], ()):
            console.print(f"           [dim]{escape(note)}[/dim]")
    if len(changes) > shown:
        console.print(f"  and {len(changes) - shown} more; --json lists all")
    console.print(", ".join(f"{count} {op}" for op, count in counts.items() if count) or "nothing to do")
    if document["waves"]:
        console.print(f"[dim]{sum(wave['seconds'] for wave in document['waves']):.1f} s in all[/dim]")


def show_checks(console: Console, document: VerifyDocument) -> None:
    """A line a check with its evidence."""
    table = _table("", "Check", "Evidence", "s")
    for check in document["checks"]:
        mark = "[green]pass[/green]" if check["ok"] else "[red]FAIL[/red]"
        table.add_row(mark, escape(check["name"]), escape(check["evidence"]), f"{check['seconds']:.1f}")
    console.print(table)
    for skipped in document["skipped"]:
        console.print(f"  skipped {escape(skipped['name'])}: {escape(skipped['why'])}")


def show_findings(console: Console, document: PreflightDocument) -> None:
    """All findings in one table, then how many there are of each level."""
    colours = {"error": "red", "warning": "yellow", "ok": "green"}
    table = _table("", "What", "Found", "Do")
    for finding in document["findings"]:
        level = finding["level"]
        texts = (escape(finding[key]) for key in ("what", "got", "do"))
        table.add_row(f"[{colours[level]}]{level}[/{colours[level]}]", *texts)
    console.print(table)
    counts = {level: sum(finding["level"] == level for finding in document["findings"]) for level in colours}
    errors, warnings = _many(counts["error"], "error", "errors"), _many(counts["warning"], "warning", "warnings")
    console.print(f"{errors}, {warnings}, {counts['ok']} fine. Nothing was made or changed.")


def show_checked(console: Console, document: CheckDocument) -> None:
    """A line a stack, then its mistakes."""
    for stack in document["stacks"]:
        mark = "[green]ok[/green]" if stack["ok"] else "[red]wrong[/red]"
        console.print(f"{mark}  {escape(stack['name'])}  [dim]{escape(stack['path'])}[/dim]")
        show_errors(console, stack["errors"])


def show_errors(console: Console, errors: Sequence[ErrorEntry]) -> None:
    """Each error on as few lines as tell where, what, what instead, and what to do."""
    for error in errors:
        where = f"{error['path']} (line {error['line']})" if "line" in error else error["path"]
        console.print(f"  [red]{escape(where)}[/red]: {escape(error['got'])}")
        if error["accepted"]:
            console.print(f"      accepted: {escape(error['accepted'])}")
        if error["do"]:
            console.print(f"      do: {escape(error['do'])}")


def show_status(console: Console, document: StatusDocument) -> None:
    """A line a component of each simulated cluster."""
    if not document["clusters"]:
        console.print("No simulated cluster on this machine. Start one: espalier sim up")
    for cluster in document["clusters"]:
        ready = "[green]ready[/green]" if cluster["ready"] else "[red]not ready[/red]"
        console.print(f"[bold]{escape(cluster['name'])}[/bold] {ready}  kubeconfig {escape(cluster['kubeconfig'])}")
        table = _table("Component", "Process", "Running", "Healthy", "")
        for part in cluster["components"]:
            table.add_row(
                escape(part["name"]),
                str(part["pid"] or ""),
                _yes(part["running"]),
                _yes(part["healthy"]),
                escape(part["detail"]),
            )
        console.print(table)


def show_addons(console: Console, document: AddonsDocument) -> None:
    """The registry of add-ons."""
    table = _table("Add-on", "Category", "Version", "State", "Licence", "Needs")
    for addon in document["addons"]:
        needs = ", ".join(addon["needs"]) or "nothing"
        table.add_row(
            addon["id"], addon["category"], addon["version"] or "-", addon["state"], addon["licence"] or "-", needs
        )
    console.print(table)
    for addon in document["addons"]:
        if ended := addon["ended"]:
            after = f" ({', '.join(ended['successors'])})" if ended["successors"] else ""
            console.print(f"  {addon['id']}, {addon['state']} since {ended['since']}: {ended['instead']}{after}")


def money(amount: Any) -> str:
    """Two decimals, or "unknown"."""
    return f"{amount:,.2f}" if isinstance(amount, int | float) else "unknown"


def _yes(value: bool) -> str:
    return "yes" if value else "[red]no[/red]"


def _many(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
