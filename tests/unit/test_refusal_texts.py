"""Every refusal of the rules has its words in a test: read from the source, so that a new one without fails here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[2]
RULES: Final = ROOT / "espalier" / "blueprint"
TESTS: Final = ROOT / "tests"
Found = dict[str, list[ast.expr]]


def refusals() -> Iterator[tuple[str, list[list[str]]]]:
    """Where each refusal stands, and of each of its parts the words of every wording that it may have."""
    for path in sorted(RULES.rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            named = assigned(function)
            # After the path: what was got, what is accepted, what to do.
            for call in (node for node in ast.walk(function) if is_refusal(node)):
                assert isinstance(call, ast.Call)
                wordings = [wording for part in call.args[1:4] for wording in words(part, named)]
                yield f"{path.relative_to(ROOT)}:{call.lineno}", wordings


def is_refusal(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Mistake"


def assigned(function: ast.FunctionDef) -> Found:
    """Name -> what a function sets it to, or adds to it."""
    found: Found = {}
    for node in ast.walk(function):
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AugAssign) else []
        )
        for target in targets:
            if isinstance(target, ast.Name) and isinstance(node, (ast.Assign, ast.AugAssign)):
                found.setdefault(target.id, []).append(node.value)
    return found


def words(part: ast.expr, named: Found) -> Iterator[list[str]]:
    """The literal words of a text; a name stands for each text that it is set to."""
    match part:
        case ast.Name(id=name) if name in named:
            for value in named[name]:
                yield from words(value, {key: values for key, values in named.items() if key != name})
        case ast.IfExp(body=body, orelse=other):
            yield from words(body, named)
            yield from words(other, named)
        case ast.BinOp(left=left, right=right):
            yield from words(left, named)
            yield from words(right, named)
        case ast.Constant(value=str(text)):
            yield [text]
        case ast.JoinedStr(values=values):
            yield [value.value for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str)]
        case _:
            return


@cache
def said() -> str:
    """All texts that tests hold, each on a line of its own."""
    found: list[str] = []
    for path in sorted(TESTS.rglob("*.py")):
        if path != Path(__file__):
            found += [
                node.value
                for node in ast.walk(ast.parse(path.read_text("utf-8")))
                if isinstance(node, ast.Constant) and isinstance(node.value, str)
            ]
    for path in sorted(TESTS.rglob("*.yaml")):
        found += [text for document in yaml.safe_load_all(path.read_text("utf-8")) for text in texts(document)]
    return "\n".join(found)


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from texts(each)


def missing(wordings: list[list[str]]) -> list[str]:
    """The words that no test holds; a lone comma or the like is none."""
    return [word for wording in wordings for word in wording if word.strip(" ,.;:()'") and word not in said()]


REFUSALS: Final = list(refusals())


def test_the_words_of_every_refusal_are_in_a_test() -> None:
    found = {where: lacking for where, wordings in REFUSALS if (lacking := missing(wordings))}
    assert not found, "\n".join(f"{where} says, and no test does: {words}" for where, words in found.items())


def test_refusals_are_found_with_their_words() -> None:
    assert len(REFUSALS) >= 370
    source = """
def rule(pool):
    do = "Remove it."
    do += " Now."
    yield Mistake(path, f"{pool} of ours" if pool else "nothing", "one" + "two", do)
"""
    (function,) = (node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef))
    (call,) = (node for node in ast.walk(function) if isinstance(node, ast.Call))
    found = [word for part in call.args[1:4] for wording in words(part, assigned(function)) for word in wording]
    assert found == [" of ours", "nothing", "one", "two", "Remove it.", " Now."]
    assert missing([["nothing"], ["what none but this file says"], [", "]]) == ["what none but this file says"]
