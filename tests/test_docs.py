"""What README.md and docs/ name is there: links, files, modules, commands, settings with their defaults."""

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from serve_app.cli import COMMANDS
from serve_app.settings import Settings, known_settings

ROOT = Path(__file__).parent.parent
DOCS = sorted((ROOT / "README.md", ROOT / "patches/README.md", *(ROOT / "docs").glob("*.md")))
EVERY = pytest.mark.parametrize("doc", DOCS, ids=lambda doc: str(doc.relative_to(ROOT)))
OF_THE_USER = {"deployments/engines/parrot.py"}
"""Files that the documents tell one to write."""
KNOWN = set(known_settings())
CPU = Settings.of({"profile": "cpu"})


def anchors(doc: Path) -> set[str]:
    """Of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", doc.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@EVERY
def test_what_is_linked_is_there(doc: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!http)([^)#]*)#?([^)]*)\)", doc.read_text()):
        file = doc.parent / target if target else doc
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), anchor


@EVERY
def test_what_is_named_as_a_file_is_there(doc: Path) -> None:
    paths = re.findall(
        r"(?<![\w/.~-])((?:serve_app|deployments|cluster|patches|tests|load_tests|scripts|docs)/[\w./-]*\w)", doc.read_text()
    )
    here = {path for path in paths if "NAME" not in path} - OF_THE_USER
    assert not [path for path in here if not (ROOT / path).exists() and not list(ROOT.glob(f"{path}*"))]


@EVERY
def test_what_is_to_be_run_is_there(doc: Path) -> None:
    text = doc.read_text()
    for module in re.findall(r"-m ((?:serve_app|cluster|patches|tests|load_tests)[\w.]*)", text):
        assert find_spec(module), module
    for command in re.findall(r"(?:bin/|^|`|\$ )sparkvox ([a-z]+)", text, re.MULTILINE):
        assert command in COMMANDS, command
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for target in re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE):
        assert target in targets, target


@EVERY
def test_what_is_set_can_be_set(doc: Path) -> None:
    sections = {name.partition(".")[0] for name in KNOWN}
    for name in re.findall(r"\b([a-z]+\.[a-z_.]+)=", doc.read_text()):
        if name.partition(".")[0] in sections:
            assert any(name == known or name.startswith(f"{known}.") for known in KNOWN), name


def rows() -> Iterator[tuple[str, str]]:
    """Names and defaults of the README's table of settings, where there are as many of both; but one that is told in other words."""
    for names, value in re.findall(r"^\| (`[a-z]+\.[^|]*) \|[^|]*\| ([^|]*) \|$", (ROOT / "README.md").read_text(), re.MULTILINE):
        every = re.findall(r"`([a-z_.]+\w)`", names.partition(";")[0])
        values = value.split(", ")
        if len(every) == len(values) and every != ["llm.instructions"]:
            yield from zip(every, values, strict=True)


@pytest.mark.parametrize(("name", "default"), list(rows()))
def test_the_readme_tells_a_settings_default(name: str, default: str) -> None:
    found: Any = CPU
    for part in name.split("."):
        found = getattr(found, part)
    assert default.strip("`") in said(found)


def said(found: Any) -> set[str]:
    """How a value may be told."""
    match found:
        case None | () | {}:
            return {"none", "all", "none added", "the model's", "the memory plan's", "~/.cache/sparkvox"}
        case bool():
            return {str(found).lower()}
        case int() | float():
            return {f"{found:g}", f"{round(found / 2**20)} MiB"}
        case _:
            return {str(found)}


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_every_setting_is_told(name: str) -> None:
    """Or that of the same name of another engine, where it is said that there are several."""
    section, _, last = name.partition(".")
    everything = "".join(doc.read_text() for doc in DOCS)
    others = ("stt", "llm", "tts", "gateway") if section in ("stt", "llm", "tts", "gateway") else ()
    assert name in everything or last == "options" or any(f"`{other}.{last}`" in everything for other in others)
