"""The command line: parses, calls one function, shows its document. The only module above everything else."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from espalier import failures
from espalier.commands.signals import Interrupted, interruptible
from espalier.report.console import Output
from espalier.report.documents import SCHEMA_VERSION, header

app = typer.Typer(
    name="espalier",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Machine-learning platforms on Kubernetes from one typed stack file.\n\nExample: espalier plan local",
)
sim = typer.Typer(no_args_is_help=True, help="The simulated cluster of this machine.\n\nExample: espalier sim status")
app.add_typer(sim, name="sim")
tenant = typer.Typer(
    no_args_is_help=True, help="Tenants of a stack file.\n\nExample: espalier tenant show local vision"
)
app.add_typer(tenant, name="tenant")

Stack = Annotated[str, typer.Argument(help="a name in stacks/, or a path to a Pulumi.<name>.yaml")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON document on stdout; people's text on stderr")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="do not ask")]
Force = Annotated[bool, typer.Option(help="take back fields that others have changed by hand")]
Adopt = Annotated[bool, typer.Option(help="take over objects that other tools or people made; without it refused")]
Accept = Annotated[
    list[str] | None,
    typer.Option(help="a refused object or add-on whose data has been seen to, as the refusal names it; repeatable"),
]
AddonNames = Annotated[list[str] | None, typer.Argument(help="these alone; default: all", metavar="ADD-ON")]
Engine = Annotated[
    str | None,
    typer.Option(help="embedded or pulumi; default: pulumi, but embedded on simulated clusters"),
]


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="the project's folder")] = Path(),
    stack: Annotated[str, typer.Option(help="the stack to begin with")] = "dev",
    kind: Annotated[str, typer.Option(help="what it runs on: simulated, existing, eks, gke or aks")] = "simulated",
    as_json: AsJson = False,
) -> None:
    """Write a project to start from; in one that is there, a further stack file.

    Example: espalier init ml-platform --stack prod --kind eks
    """

    def body(out: Output) -> int:
        from espalier.commands.init import init as begin
        from espalier.commands.init import kind_of

        return begin(folder, stack, kind_of(kind), out)

    _run("init", as_json, body)


@app.command()
def plan(
    stack: Stack,
    as_json: AsJson = False,
    html: Annotated[Path | None, typer.Option(help="also write a page to this file")] = None,
    today: Annotated[str | None, typer.Option(help="a day: which prices are stale on it; default: today")] = None,
) -> None:
    """All that can be known without a cluster: objects, money, proofs, policies.

    Example: espalier plan local --html plan.html
    """

    def body(out: Output) -> int:
        from espalier.commands.plan import plan as make
        from espalier.commands.project import open_project
        from espalier.commands.stale import day_of
        from espalier.report.terminal import show_plan

        made = make(open_project(stack), day_of(today))
        if html is not None:
            from espalier.commands.files import writing
            from espalier.report.html import page
            from espalier.whole import write_whole

            text = page(made.document)
            with writing("--html", html):
                write_whole(html, text)
        show_plan(out.people, made.document)
        out.document(made.document)
        return 0 if made.ok else failures.FAILED

    _run("plan", as_json, body)


@app.command()
def check(
    stacks: Annotated[list[str] | None, typer.Argument(help="stacks to check; default: all")] = None,
    as_json: AsJson = False,
) -> None:
    """Every mistake in stack files, at once, in less than a second.

    Example: espalier check
    """

    def body(out: Output) -> int:
        from espalier.commands.check import check as judge
        from espalier.report.terminal import show_checked

        document = judge(stacks or [])
        show_checked(out.people, document)
        out.document(document)
        return 0 if all(stack["ok"] for stack in document["stacks"]) else failures.INVALID

    _run("check", as_json, body)


@app.command()
def schema(
    of: Annotated[str, typer.Option(help="settings, or a command: plan, check, up, verify, ...")] = "settings",
    as_json: AsJson = False,
) -> None:
    """JSON Schema of the stack file, or of a command's JSON.

    Example: espalier schema --of plan
    """

    def body(out: Output) -> int:
        from espalier.report.documents import DOCUMENTS, schema_of
        from espalier.settings.schema import stack_schema
        from espalier.types import Mistake, Mistakes

        known = ["settings", *DOCUMENTS]
        if of not in known:
            raise Mistakes([Mistake("--of", repr(of), ", ".join(known), "Name one of them.")])
        out.as_json = True
        out.document(stack_schema() if of == "settings" else schema_of(of))
        return 0

    _run("schema", as_json, body)


@app.command()
def render(
    stack: Stack,
    folder: Annotated[Path, typer.Option("-o", "--output", help="folder to write to")],
    as_json: AsJson = False,
) -> None:
    """Every Kubernetes object of a stack as YAML files.

    Example: espalier render local -o rendered
    """

    def body(out: Output) -> int:
        from espalier.commands.files import render as write
        from espalier.commands.plan import plan as make
        from espalier.commands.project import open_project

        files = write(make(open_project(stack)).document["kubernetes"], folder)
        out.people.print(f"{len(files)} objects in {folder}")
        out.document({**header("render"), "stack": stack, "folder": str(folder), "files": files})
        return 0

    _run("render", as_json, body)


@app.command()
def images(stack: Stack, as_json: AsJson = False) -> None:
    """Every container image of a stack, one a line.

    Example: espalier images local
    """

    def body(out: Output) -> int:
        from espalier.commands.plan import plan as make
        from espalier.commands.project import open_project

        rows = make(open_project(stack)).document["images"]
        for image in dict.fromkeys(row["image"] for row in rows):
            out.people.print(image, markup=False)
        out.document({**header("images"), "stack": stack, "images": rows})
        return 0

    _run("images", as_json, body)


@app.command()
def identity(stack: Stack, as_json: AsJson = False) -> None:
    """How the API server names people; for one of your own, the file that tells it whom to trust.

    Example: espalier identity existing
    """

    def body(out: Output) -> int:
        from espalier.commands.identity import identity as tell
        from espalier.commands.identity import lines

        document = tell(stack)
        for line in lines(document):
            out.people.print(line, markup=False, soft_wrap=True)
        out.document(document)
        return 0

    _run("identity", as_json, body)


@app.command()
def addons(as_json: AsJson = False) -> None:
    """The add-ons that a stack file may name.

    Example: espalier addons --json
    """

    def body(out: Output) -> int:
        from espalier.commands.check import addons_document
        from espalier.report.terminal import show_addons

        document = addons_document()
        show_addons(out.people, document)
        out.document(document)
        return 0

    _run("addons", as_json, body)


@app.command()
def catalogue(
    accelerator: Annotated[str | None, typer.Option(help="one accelerator, with its machines in detail")] = None,
    cloud: Annotated[str | None, typer.Option(help="aws, gcp, azure or onprem; default: all")] = None,
    region: Annotated[str | None, typer.Option(help="prices of this region; default: each cloud's usual one")] = None,
    as_json: AsJson = False,
) -> None:
    """Accelerators and machines that pools may name, with dated list prices.

    Example: espalier catalogue --accelerator H100-80 --cloud aws
    """

    def body(out: Output) -> int:
        from espalier.commands.catalogue import document, rows_of_project
        from espalier.report.catalogue import show_catalogue

        made = document(rows_of_project(Path.cwd()), accelerator, cloud, region)
        show_catalogue(out.people, made, detail=accelerator is not None, plain=cloud is not None)
        out.document(made)
        return 0

    _run("catalogue", as_json, body)


@app.command()
def fetch(stack: Stack, as_json: AsJson = False) -> None:
    """Bring the charts and manifests of a stack's add-ons into the cache, and pin them in its lock.

    Example: espalier fetch local
    """

    def body(out: Output) -> int:
        from espalier.commands.fetch import fetch as bring
        from espalier.commands.fetch import told

        document = bring(stack, out)
        for line in told(document):
            out.people.print(line, markup=False)
        out.document(document)
        return 0

    _run("fetch", as_json, body)


@app.command()
def mirror(
    stack: Stack,
    folder: Annotated[Path, typer.Option("-o", "--output", help="folder to write to")],
    as_json: AsJson = False,
) -> None:
    """All that a site without a network needs of a stack: its add-ons' sources, and a list of images with digests.

    Example: espalier mirror aws-prod -o carried
    """

    def body(out: Output) -> int:
        from espalier.commands.mirror import mirror as carry
        from espalier.report.mirror import show_mirror

        code, document = carry(stack, folder, out)
        show_mirror(out, document)
        out.document(document)
        return code

    _run("mirror", as_json, body)


@app.command()
def upgrade(stack: Stack, yes: Yes = False, accept: Accept = None, as_json: AsJson = False) -> None:
    """Move a stack's lock to newer add-ons, after showing object by object what that changes.

    Example: espalier upgrade aws-prod
    """

    def body(out: Output) -> int:
        from espalier.commands.upgrade import upgrade as move

        return move(stack, out, yes=yes, accepted=accept or ())

    _run("upgrade", as_json, body)


@app.command()
def backup(
    stack: Stack,
    folder: Annotated[Path, typer.Option("-o", "--output", help="folder to write to, a new or an empty one")],
    addons: AddonNames = None,
    as_json: AsJson = False,
) -> None:
    """Save what a stack's add-ons keep, by commands in their pods, into a folder; what no command saves is listed.

    Example: espalier backup prod -o saved/$(date +%F)
    """

    def body(out: Output) -> int:
        from espalier.commands.backup import backup as save

        return save(stack, folder, addons or (), out)

    _run("backup", as_json, body)


@app.command()
def restore(
    stack: Stack,
    folder: Annotated[Path, typer.Argument(help="folder that `backup` wrote", metavar="DIR")],
    addons: AddonNames = None,
    source: Annotated[str, typer.Option("--from", help="the stack that it was saved from, where it is another")] = "",
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Bring back what `backup` saved: it overwrites what the add-ons have now, after all of it was checked.

    Example: espalier restore prod saved/2026-11-01 mlflow
    """

    def body(out: Output) -> int:
        from espalier.commands.restore import restore as bring

        return bring(stack, folder, addons or (), out, yes=yes, source=source)

    _run("restore", as_json, body)


@app.command()
def sample(
    stack: Stack,
    name: Annotated[str | None, typer.Argument(help="which one; default: list what there is")] = None,
    tenant: Annotated[str, typer.Option(help="whose; default: the first tenant")] = "",
    workspace: Annotated[str, typer.Option(help="in which of its workspaces; default: the first")] = "",
    pool: Annotated[str, typer.Option(help="on which pool; default: the first that fits")] = "",
    as_json: AsJson = False,
) -> None:
    """Work to try a platform with, fitted to a stack's tenants and pools.

    Example: espalier sample local job | kubectl apply -f -
    """

    def body(out: Output) -> int:
        from espalier.commands.sample import Wish
        from espalier.commands.sample import sample as show

        return show(stack, name, Wish(tenant, workspace, pool), out)

    _run("sample", as_json, body)


@app.command()
def preflight(stack: Stack, as_json: AsJson = False) -> None:
    """What the cloud's account lacks for a stack, asked with your credentials, by reading alone.

    Example: espalier preflight aws-dev
    """

    def body(out: Output) -> int:
        from espalier.commands.preflight import preflight as ask

        return ask(stack, out)

    _run("preflight", as_json, body)


@app.command()
def preview(
    stack: Stack, engine: Engine = None, force: Force = False, adopt: Adopt = False, as_json: AsJson = False
) -> None:
    """What `up` would change, asked of the live cluster without changing it.

    Example: espalier preview local
    """

    def body(out: Output) -> int:
        from espalier.commands.apply import preview as ask

        return ask(stack, out, engine=engine, force=force, adopt=adopt)

    _run("preview", as_json, body)


@app.command()
def up(
    stack: Stack,
    yes: Yes = False,
    engine: Engine = None,
    force: Force = False,
    adopt: Adopt = False,
    as_json: AsJson = False,
) -> None:
    """Bring a stack up: judge it, show what changes, ask, apply, wait.

    Example: espalier up local --yes
    """

    def body(out: Output) -> int:
        from espalier.commands.apply import up as bring

        return bring(stack, out, yes=yes, engine=engine, force=force, adopt=adopt)

    _run("up", as_json, body)


@app.command()
def destroy(
    stack: Stack,
    yes: Yes = False,
    engine: Engine = None,
    delete_data: Annotated[
        bool, typer.Option("--delete-data", help="volume claims that others made, and their data, may go too")
    ] = False,
    remove_finalizers: Annotated[
        bool, typer.Option("--remove-finalizers", help="take off finalizers that no controller takes off")
    ] = False,
    without_drain: Annotated[
        bool,
        typer.Option(
            "--without-drain", help="go on though a cloud's cluster cannot be reached: what its controllers made stays"
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Remove all that `up` made, in reverse order, and nothing else.

    Example: espalier destroy local
    """

    def body(out: Output) -> int:
        from espalier.commands.apply import destroy as remove

        return remove(
            stack,
            out,
            yes=yes,
            engine=engine,
            delete_data=delete_data,
            remove_finalizers=remove_finalizers,
            without_drain=without_drain,
        )

    _run("destroy", as_json, body)


@app.command()
def verify(
    stack: Stack,
    probe: Annotated[
        bool,
        typer.Option(help="make pods also on clusters that are not simulated, and jobs that compute on devices"),
    ] = False,
    pool: Annotated[
        list[str] | None, typer.Option(help="with --probe: compute on this pool only; may be repeated")
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Prove on the live API that pools, quotas and walls do what the plan says.

    With --probe it says first which nodes it may wake and what that costs at most, and asks.

    Example: espalier verify aws-prod --probe --pool h100
    """

    def body(out: Output) -> int:
        from espalier.commands.live import verify as prove

        return prove(stack, out, probe=probe, pools=pool or [], yes=yes)

    _run("verify", as_json, body)


@app.command()
def rehearse(
    stack: Stack,
    keep: Annotated[bool, typer.Option(help="leave the throw-away cluster for a look")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring a stack up on a throw-away simulated cluster, verify it, take it down.

    Example: espalier rehearse local
    """

    def body(out: Output) -> int:
        from espalier.commands.live import rehearse as play

        return play(stack, out, keep=keep)

    _run("rehearse", as_json, body)


Name = Annotated[str, typer.Option("--name", help="the simulated cluster's name")]


@sim.command("up")
def sim_up(name: Name = "local", as_json: AsJson = False) -> None:
    """Start a simulated cluster, or mend it; the first time builds its binaries.

    Example: espalier sim up --name local
    """

    def body(out: Output) -> int:
        from espalier.commands.simulate import start

        return start(name, out)

    _run("sim up", as_json, body)


@sim.command("down")
def sim_down(
    name: Name = "local",
    all_of_them: Annotated[bool, typer.Option("--all", help="every simulated cluster of this user")] = False,
    keep_state: Annotated[bool, typer.Option(help="keep its data for the next sim up")] = False,
    as_json: AsJson = False,
) -> None:
    """Stop a simulated cluster and remove its data.

    Example: espalier sim down --name local
    """

    def body(out: Output) -> int:
        from espalier.commands.simulate import stop

        return stop(None if all_of_them else name, out, keep_state=keep_state)

    _run("sim down", as_json, body)


@sim.command("status")
def sim_status(
    name: Annotated[str | None, typer.Option("--name", help="one cluster; default: all")] = None,
    as_json: AsJson = False,
) -> None:
    """How the simulated clusters of this machine are; exit code 1 when one is not ready.

    Example: espalier sim status --json
    """

    def body(out: Output) -> int:
        from espalier.commands.simulate import status

        return status(name, out)

    _run("sim status", as_json, body)


@sim.command("fault")
def sim_fault(
    component: Annotated[
        str | None,
        typer.Argument(help="a process as `sim status` names it, or nodes; none: list all faults"),
    ] = None,
    kind: Annotated[str, typer.Option(help="what happens; `espalier sim fault` lists all kinds")] = "kill",
    count: Annotated[int, typer.Option(help="how many nodes")] = 1,
    pool: Annotated[str | None, typer.Option(help="nodes of this pool only")] = None,
    node: Annotated[str | None, typer.Option(help="this one node")] = None,
    seconds: Annotated[int | None, typer.Option(help="a driver's delay, or the notice of a reclaim")] = None,
    name: Name = "local",
    as_json: AsJson = False,
) -> None:
    """Break something of a simulated cluster for a drill, or mend it again; without arguments, list what can break.

    Example: espalier sim fault nodes --kind lose-device --pool h100
    """

    def body(out: Output) -> int:
        from espalier.commands.simulate import inflict, list_faults
        from espalier.sim.faults import Aim

        return inflict(name, component, kind, Aim(count, pool, node, seconds), out) if component else list_faults(out)

    _run("sim fault", as_json, body)


TenantName = Annotated[str, typer.Argument(help="the tenant's name", metavar="NAME")]


@tenant.command("show")
def tenant_show(stack: Stack, name: TenantName, as_json: AsJson = False) -> None:
    """What a tenant consists of: namespaces, quota, roles, and what it may cost a month at the dearest.

    Example: espalier tenant show local vision
    """

    def body(out: Output) -> int:
        from espalier.commands.tenant import show

        return show(stack, name, out)

    _run("tenant show", as_json, body)


@tenant.command("add")
def tenant_add(
    stack: Stack,
    name: TenantName,
    edit: Annotated[list[str] | None, typer.Option(help="a group that may run workloads; repeatable")] = None,
    view: Annotated[list[str] | None, typer.Option(help="a group that may read; repeatable")] = None,
    admin: Annotated[list[str] | None, typer.Option(help="a group that may also manage accounts; repeatable")] = None,
    owner: Annotated[list[str] | None, typer.Option(help="a person with the role admin; repeatable")] = None,
    device: Annotated[list[str] | None, typer.Option(help="devices, such as nvidia.com/gpu=8; repeatable")] = None,
    cpu: Annotated[int | None, typer.Option(help="vCPUs; default: 16")] = None,
    memory: Annotated[str | None, typer.Option(help="memory, such as 64Gi, the default")] = None,
    storage: Annotated[str | None, typer.Option(help="volumes, such as 200Gi, the default")] = None,
    as_json: AsJson = False,
) -> None:
    """Write a tenant into a stack file, which is otherwise left as it is, and show it.

    Example: espalier tenant add local speech --edit speech-engineers --device nvidia.com/gpu=4
    """

    def body(out: Output) -> int:
        from espalier.commands.tenant import add, block_of, devices_of

        amounts = {"devices": devices_of(device or []), "cpu": cpu, "memory": memory, "storage": storage}
        quota = {key: value for key, value in amounts.items() if value}
        groups = {"view": view or [], "edit": edit or [], "admin": admin or []}
        return add(stack, block_of(name, groups, owner or [], quota), out)

    _run("tenant add", as_json, body)


@tenant.command("remove")
def tenant_remove(stack: Stack, name: TenantName, as_json: AsJson = False) -> None:
    """Take a tenant out of a stack file, and say what becomes of its volumes; nothing is deleted yet.

    Example: espalier tenant remove local speech
    """

    def body(out: Output) -> int:
        from espalier.commands.tenant import remove

        return remove(stack, name, out)

    _run("tenant remove", as_json, body)


def _run(command: str, as_json: bool, body: Callable[[Output], int]) -> None:
    """Runs a command's body; what it raises becomes errors and an exit code, with or without JSON."""
    out = Output(as_json=as_json)
    try:
        with interruptible():
            code = body(out)
    except failures.handled() as error:
        code, errors = failures.told(error)
        _tell(out, command, errors)
    except Interrupted as error:
        code = 128 + error.number
        _tell(out, command, [failures.entry("interrupted", f"ended by {error}", "", "Run it again.")])
    raise typer.Exit(code)


def _tell(out: Output, command: str, errors: list[Any]) -> None:
    from espalier.report.terminal import show_errors

    count = len(errors)
    out.errors.print(f"espalier {command}: {count} error{'' if count == 1 else 's'}")
    show_errors(out.errors, errors)
    out.document({"schema_version": SCHEMA_VERSION, "command": command, "errors": errors})


def main(arguments: list[str] | None = None) -> None:
    """The entry point: exits with the command's code."""
    given = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        code = app(args=given, standalone_mode=False)
    except typer.TyperException as error:
        out = Output(as_json="--json" in given)
        wrong = failures.entry("command line", error.format_message(), "", "See `espalier --help`.")
        _tell(out, " ".join(word for word in given[:1] if not word.startswith("-")), [wrong])
        code = failures.INVALID
    except (typer.Abort, KeyboardInterrupt):
        sys.stderr.write("interrupted\n")
        code = failures.INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        code = failures.FAILED
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
