"""Builds the binaries of the table once, into a cache that every cluster of a user shares."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from espalier.sim.binaries import SIMULATOR, Binary, Edit, GoModule, link_flags, required_go
from espalier.sim.errors import SimError
from espalier.sim.locks import locked
from espalier.sim.model import Progress
from espalier.sim.paths import cache_root
from espalier.sim.toolchain import find_go, go_environment

_TELL_EVERY_SECONDS = 5.0
_GUESS_FROM_PERCENT = 3
_WAIT_FOR_OTHER_BUILD_SECONDS = 3600.0
_FLAGS = ("-mod=readonly", "-trimpath", "-buildvcs=false")


def build(progress: Progress, module: GoModule = SIMULATOR) -> Path:
    """Return the directory that holds every binary of ``module``, building them first if they are not there.

    A first build takes minutes and needs the network (Go's module proxy); ``progress`` is told what is done
    and about how long is left. Two builds at once are safe: the second waits and uses what the first made.
    Raises MissingToolError where no Go is to be had, SimError where the build fails.
    """
    root = cache_root()
    directory = root / module.key
    if directory.is_dir():
        return directory
    with locked(root / ".build.lock", "building the binaries", progress, _WAIT_FOR_OTHER_BUILD_SECONDS):
        if not directory.is_dir():
            _build_into(directory, module, progress)
    return directory


def _build_into(directory: Path, module: GoModule, progress: Progress) -> None:
    go = find_go(required_go(module.folder))
    for leftover in directory.parent.glob(".building-*"):
        shutil.rmtree(leftover)
    scratch = Path(tempfile.mkdtemp(prefix=".building-", dir=directory.parent))
    try:
        started = time.monotonic()
        progress(f"building {module.what} with {go}, once for all stacks; this takes minutes")
        _download(go, module, progress)
        changed = _edited(go, module, scratch)
        meter = _Meter(_packages_to_compile(go, module), progress)
        for binary in module.binaries:
            _compile(go, module, binary, scratch / binary.name, meter, changed)
            for link in binary.links:
                (scratch / link).symlink_to(binary.name)
        for name, path in module.files:
            shutil.copyfile(_folder(go, module, name) / path, scratch / Path(path).name)
        for rest in scratch.glob(".*"):
            shutil.rmtree(rest) if rest.is_dir() else rest.unlink()
        # A rename is all or nothing: a cache directory with its final name is always complete.
        scratch.rename(directory)
        progress(f"built {', '.join(b.name for b in module.binaries)} in {_span(time.monotonic() - started)}")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _download(go: Path, module: GoModule, progress: Progress) -> None:
    """Fetch the source of every package needed; Go checks each against go.sum."""
    command = [go, "list", "-mod=readonly", "-deps", *(binary.package for binary in module.binaries)]
    fetched = 0
    told = time.monotonic()
    for line in _lines(command, module, "downloading the sources"):
        if line.startswith("go: downloading"):
            fetched += 1
            if time.monotonic() - told >= _TELL_EVERY_SECONDS:
                told = time.monotonic()
                progress(f"downloading Go modules: {fetched} so far")


def _edited(go: Path, module: GoModule, scratch: Path) -> Path | None:
    """A go.mod whose edited modules are copies beside it; None where nothing is edited."""
    if not module.edits:
        return None
    text = (module.folder / "go.mod").read_text(encoding="utf-8")
    for number, name in enumerate(dict.fromkeys(edit.module for edit in module.edits)):
        copy = scratch / f".edited-{number}"
        # Go's cache is read-only; the copy must not be, or it could be neither changed nor removed.
        shutil.copytree(_folder(go, module, name), copy, copy_function=shutil.copyfile)
        for path in copy.rglob("*"):
            if path.is_dir():
                path.chmod(0o755)
        text += f"\nreplace {name} => {copy}\n"
        for edit in module.edits:
            if edit.module == name:
                _edit(copy / edit.file, edit)
    shutil.copyfile(module.folder / "go.sum", scratch / ".go.sum")
    changed = scratch / ".go.mod"
    changed.write_text(text, encoding="utf-8")
    return changed


def _edit(source: Path, edit: Edit) -> None:
    text = source.read_text(encoding="utf-8")
    if text.count(edit.old) != edit.count:
        raise SimError(
            f"{edit.module} has {edit.old!r} {text.count(edit.old)} times in {edit.file}, not {edit.count} times",
            "report this: the pinned version and what is changed in it do not fit together",
        )
    source.write_text(text.replace(edit.old, edit.new), encoding="utf-8")


def _folder(go: Path, module: GoModule, name: str) -> Path:
    """Where Go keeps the source of a pinned module."""
    *_, folder = _lines([go, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", name], module, f"looking for {name}")
    return Path(folder)


def _packages_to_compile(go: Path, module: GoModule) -> dict[str, int]:
    """The packages that are not yet in Go's own cache, each with its source's size in bytes.

    Compile time goes with the size far better than with the number of packages.
    """
    template = '{{if .Stale}}{{.ImportPath}}\t{{.Dir}}\t{{join .GoFiles "\t"}}{{end}}'
    command = [go, "list", *_FLAGS, "-deps", "-f", template, *(binary.package for binary in module.binaries)]
    sizes: dict[str, int] = {}
    for line in _lines(command, module, "listing the packages"):
        if line.count("\t") >= 2:
            package, folder, *files = line.split("\t")
            sizes[package] = sum(os.path.getsize(os.path.join(folder, file)) for file in files if file)
    return sizes


class _Meter:
    """Turns ``go build -v`` lines, one for each package compiled, into words about the time left."""

    def __init__(self, sizes: dict[str, int], progress: Progress) -> None:
        self._sizes = sizes
        self._total = sum(sizes.values())
        self._done = 0
        self._packages = 0
        self._progress = progress
        self._started = self._told = time.monotonic()

    def compiled(self, package: str) -> None:
        self._done += self._sizes.pop(package, 0)
        self._packages += 1
        now = time.monotonic()
        if now - self._told >= _TELL_EVERY_SECONDS and self._done:
            self._told = now
            left = (now - self._started) * (self._total - self._done) / self._done
            share = 100 * self._done // self._total
            # The first packages tell little about the rest.
            guess = f", about {_span(left)} left" if share >= _GUESS_FROM_PERCENT else ""
            self._progress(f"compiling: {share}% ({self._packages} packages){guess}")


def _compile(go: Path, module: GoModule, binary: Binary, target: Path, meter: _Meter, changed: Path | None) -> None:
    modfile = [f"-modfile={changed}"] if changed else []
    command = [go, "build", "-v", *_FLAGS, *modfile, "-ldflags", link_flags(binary), "-o", target, binary.package]
    for line in _lines(command, module, f"building {binary.name}"):
        meter.compiled(line)


def _lines(command: list[str | Path], module: GoModule, what: str) -> Iterator[str]:
    """Run a ``go`` command in the module, yield what it prints, and raise SimError where it fails."""
    tail: list[str] = []
    with subprocess.Popen(
        command,
        cwd=module.folder,
        env=go_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        ended = False
        try:
            for line in process.stdout or ():
                tail = [*tail[-19:], line.rstrip()]
                yield line.rstrip()
            ended = True
        finally:
            if not ended:
                process.terminate()
    if process.returncode != 0:
        said = "\n".join(tail)
        raise SimError(
            f"{what} failed (go exited with {process.returncode}):\n{said}",
            "if a module could not be fetched, check that Go's proxy is reachable (go env GOPROXY), then try "
            "again; what is compiled already stays in Go's cache",
        )


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min"
