"""Runs a Pulumi program in this process, as Pulumi's language host runs it."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import inspect
import runpy
import sys
import traceback
from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime import run_in_stack, settings
from pulumi.runtime.config import set_all_config

from espalier.engine.errors import Problem, ProgramError
from espalier.engine.executor import RegistrationExecutor
from espalier.engine.monitor import Engine, Monitor
from espalier.engine.shelf import lend

THREADS = 32
"""Threads that answer registrations. A wait holds none of them."""


@dataclass(frozen=True)
class Program:
    """A Pulumi program with the stack that it is run for."""

    path: Path | Callable[[], Any]
    """The folder of a `__main__.py`, the file itself, or a function that registers resources."""
    project: str
    stack: str
    config: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """As Pulumi gives it: full keys such as `espalier:pools`, structured values as JSON text."""
    secret_keys: frozenset[str] = frozenset()
    """The keys of `config` whose values are secret."""
    asks_nothing: bool = False
    """Whether the program registers the same whatever the API server answers, and neither reads nor transforms any of
    it: `up` need not run it twice then, nor all of it pass through the SDK."""
    before: Callable[[], None] | None = field(default=None, repr=False, compare=False)
    """Called before the program, in its context: what is set there holds for one run."""


def run(program: Program, monitor: Monitor, engine: Engine, *, dry_run: bool) -> None:
    """Runs the program to its end, until all that it registered has been answered.

    `dry_run` is what the program reads as `pulumi.runtime.is_dry_run()`; missing outputs are unknown then.
    Raises ProgramError when the program raises or the monitor refused something.
    """
    executor = RegistrationExecutor(max_workers=THREADS, thread_name_prefix="registration")
    try:
        with _without_garbage_collection():
            contextvars.copy_context().run(_run_in_context, program, monitor, engine, executor, dry_run)
    finally:
        # After an interrupt what runs is finished, and what is queued is not begun.
        executor.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _without_garbage_collection() -> Generator[None]:
    """Leaves the collector out of a run, and what the run leaves behind to the next run, if there is one.

    Every registration stays referenced to the run's end, so that a full collection finds nothing and takes longer
    each time: with 9,000 resources more than half of the run (bench/plan.py). Collecting afterwards would take a
    fifth of the run once more, which a command that ends here need not spend; a second run does, for the memory.
    """
    if not gc.isenabled():
        yield
        return
    if gc.get_freeze_count():
        gc.unfreeze()
        gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _run_in_context(
    program: Program, monitor: Monitor, engine: Engine, executor: RegistrationExecutor, dry_run: bool
) -> None:
    settings.ROOT.set(None)
    if program.asks_nothing:
        lend(monitor.shelf)
    if program.before is not None:
        program.before()
    settings.configure(
        settings.Settings(
            project=program.project,
            stack=program.stack,
            monitor=monitor,
            engine=engine,
            dry_run=dry_run,
            organization="organization",
            root_directory=str(_folder(program) or Path.cwd()),
        )
    )
    set_all_config(dict(program.config), sorted(program.secret_keys))
    error = _run_loop(_entry(program), executor, _folder(program))
    problems = monitor.problems()
    if error is None and not problems:
        return
    raise _program_error(error, problems) from error


def _program_error(error: BaseException | None, problems: tuple[Problem, ...]) -> ProgramError:
    count = len(problems)
    listed = f"the program asks for what cannot be done ({count} mistake{'' if count == 1 else 's'})"
    if error is None:
        return ProgramError(listed, problems)
    if isinstance(error, pulumi.RunError):
        return ProgramError(str(error), problems)
    if isinstance(error, SystemExit):
        return ProgramError(f"the program ended itself with exit code {error.code}", problems)
    if problems:
        # A refused call or read makes what reads it raise as well: the cause says enough.
        return ProgramError(listed, problems)
    text = f"the program raised {type(error).__name__}: {error}"
    return ProgramError(text, detail=_traceback_of(error))


def _traceback_of(error: BaseException) -> str:
    """The program's part of the traceback: what comes after the last frame of the machinery."""
    frames = traceback.extract_tb(error.__traceback__)
    machinery = (__file__, runpy.__file__, asyncio.__file__.rpartition("/")[0], "<frozen runpy>")
    start = next((i for i, frame in enumerate(frames) if not frame.filename.startswith(machinery)), 0)
    if frames and frames[start].filename.endswith("pulumi/runtime/stack.py"):
        own = [i for i, frame in enumerate(frames) if frame.filename.startswith(machinery)]
        start = own[-1] + 1 if own and own[-1] + 1 < len(frames) else start
    lines = ["it was raised here, the innermost call last:\n", *traceback.format_list(frames[start:])]
    return "".join([*lines, *traceback.format_exception_only(error)]).rstrip()


def _run_loop(entry: Callable[[], Any], executor: RegistrationExecutor, folder: Path | None) -> BaseException | None:
    """Runs `entry` inside a stack and returns what it raised: a program may raise anything at all."""
    loop = asyncio.new_event_loop()
    loop.set_default_executor(executor)
    # What fails is reported once, as this run's error; the SDK's futures that no one awaits would
    # each print a traceback of their own.
    loop.set_exception_handler(lambda _loop, _context: None)
    asyncio.set_event_loop(loop)
    try:
        with _surroundings(folder):
            task = loop.create_task(run_in_stack(_started(entry)))
            with contextlib.suppress(SystemExit):
                loop.run_until_complete(asyncio.wait([task]))
            return task.exception() if task.done() else None
    finally:
        _drain(loop)
        asyncio.set_event_loop(None)


def _started(entry: Callable[[], Any]) -> Callable[[], Awaitable[None]]:
    """Has every registration on its way when the entry is over.

    The SDK first awaits the calls that are on their way, one by one, then whatever Output is still open, all at once
    and anew for each that comes: quadratic if no call had begun by then (bench/RESULTS.md).
    """

    async def start() -> None:
        result = entry()
        if inspect.isawaitable(result):
            await result
        await asyncio.sleep(0)

    return start


def _drain(loop: asyncio.AbstractEventLoop) -> None:
    pending = asyncio.all_tasks(loop)
    for task in pending:
        task.cancel()
    if pending:
        loop.run_until_complete(asyncio.wait(pending))
    loop.close()


def _folder(program: Program) -> Path | None:
    if not isinstance(program.path, Path):
        return None
    path = program.path.resolve()
    return path if path.is_dir() else path.parent


def _entry(program: Program) -> Callable[[], Any]:
    path = program.path
    if not isinstance(path, Path):
        return path
    resolved = path.resolve()
    if not (resolved / "__main__.py" if resolved.is_dir() else resolved).is_file():
        raise ProgramError(f"{path} holds no __main__.py: name the folder of a Pulumi program")

    def run_main() -> None:
        runpy.run_path(str(resolved), run_name="__main__")

    return run_main


@contextlib.contextmanager
def _surroundings(folder: Path | None) -> Generator[None]:
    """The working folder, `sys.path` and `sys.argv` that a program expects, undone afterwards.

    What the program prints goes to stderr: stdout may be promised to a document. Its own modules are
    forgotten, or a second run would find them imported and register nothing of theirs.
    """
    if folder is None:
        with contextlib.redirect_stdout(sys.stderr):
            yield
        return
    before = set(sys.modules)
    path, argv = list(sys.path), sys.argv
    sys.path.insert(0, str(folder))
    sys.argv = [str(folder)]
    try:
        with contextlib.chdir(folder), contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        sys.path[:], sys.argv = path, argv
        for name in set(sys.modules) - before:
            if _is_programs_own(name, folder):
                del sys.modules[name]


def _is_programs_own(name: str, folder: Path) -> bool:
    # Espalier's modules hold no registrations, and importing them twice would double their classes.
    if name.partition(".")[0] == "espalier":
        return False
    file = getattr(sys.modules[name], "__file__", None)
    return file is not None and Path(file).is_relative_to(folder) and "site-packages" not in file
