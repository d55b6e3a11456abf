"""What people read of a document."""

from __future__ import annotations

import io

from rich.console import Console

from espalier.report.terminal import held_lines, show_proofs

WHY = "kueue 0.19.2 is not pinned by prod.lock. Run `espalier fetch prod`."


def shown(*proofs: tuple[str, bool, str], held: tuple[str, ...] = (WHY,)) -> list[str]:
    file = io.StringIO()
    rows = [{"name": name, "ok": ok, "evidence": evidence} for name, ok, evidence in proofs]
    show_proofs(Console(file=file, width=200), rows, held)
    return file.getvalue().splitlines()


def test_proofs_that_wait_for_content_are_named_and_what_fails_has_its_evidence() -> None:
    seen = ("content/kueue", False, f"kueue is not rendered: {WHY}")
    wake = ("wake/h100", False, "no label matches [x]")
    assert shown(("taints/h100", True, "all known"), seen, wake) == [
        "Proofs: 1 hold, 1 fails, 1 waits for what is held up",
        "  wake/h100: no label matches [x]",
        "  waiting: content/kueue",
    ]


def test_without_what_is_held_up_each_failure_is_told() -> None:
    assert shown(("wake/h100", False, "no label"), held=()) == ["Proofs: 0 hold, 1 fails", "  wake/h100: no label"]
    assert shown(("wake/h100", True, "wakes"), held=()) == ["Proofs: 1 hold, 0 fail"]


def test_add_ons_that_wait_for_the_same_are_told_in_one_line() -> None:
    held = {
        "kueue": "oci://registry.k8s.io/kueue/charts 0.19.2 is not pinned by prod.lock. Run `espalier fetch prod`.",
        "keda": "https://kedacore.github.io/charts/keda 2.20.2 is not pinned by prod.lock. Run `espalier fetch prod`.",
        "katib": "it needs kueue, held up as well. See there.",
        "velero": "https://example.com/velero 9 is not in the cache. Run `espalier fetch prod`.",
    }
    assert list(held_lines(held)) == [
        "held up, not pinned by prod.lock. Run `espalier fetch prod`: kueue, keda",
        "katib is held up, it needs kueue, held up as well. See there.",
        "velero is held up, https://example.com/velero 9 is not in the cache. Run `espalier fetch prod`.",
    ]
