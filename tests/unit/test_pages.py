"""What is written for readers stays true: how-to pages and README name only what is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import tsbulk_frames
from tsbulk_frames import howto
from tsbulk_frames.cli import main
from tsbulk_frames.cli_errors import EXIT_CODES

ROOT = Path(__file__).parents[2]
HOWTO = ROOT / "tsbulk_frames" / "howto"
PAGES = sorted(path for path in HOWTO.glob("*.py") if path.stem != "__init__")
README = (ROOT / "README.md").read_text(encoding="utf-8")
TEST_IDS = sorted(set(re.findall(r"\btests/[\w/]+\.py::\w+", README)))


def text_of(page: str) -> str:
    """Docstring of a how-to page."""
    return ast.get_docstring(ast.parse((HOWTO / f"{page}.py").read_text(encoding="utf-8"))) or ""


def functions(path: Path) -> set[str]:
    """Names of the functions of a file, those in classes as well."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def anchors(markdown: str) -> set[str]:
    """Anchors that headings get where Markdown is shown."""
    titles = re.findall(r"^#+ +(.+?) *$", markdown, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", [*PAGES, HOWTO / "__init__.py"], ids=lambda path: path.stem)
def test_a_page_is_its_docstring(path: Path) -> None:
    """No code hides in a page, and it can be read at a sitting."""
    text = path.read_text(encoding="utf-8")
    assert len(ast.parse(text).body) == 1
    assert len(text.splitlines()) <= 120


def test_the_index_lists_every_page() -> None:
    """Each page stands in the table, and nothing else."""
    listed = re.findall(r"`tsbulk_frames\.howto\.(\w+)`", howto.__doc__ or "")
    assert sorted(listed) == [path.stem for path in PAGES]


def test_every_error_is_explained() -> None:
    """The page of errors has a row for each class, whichever is added."""
    rows = re.findall(r"^\| `tsbulk_frames\.(\w+)` \|", text_of("errors"), re.MULTILINE)
    assert {*rows, "TsBulkError", "MindsphereError"} == set(tsbulk_frames.errors.__all__)
    assert len(rows) == len(set(rows))


def test_every_function_is_on_a_page() -> None:
    """No public function without a task it is for."""
    pages = "".join(text_of(path.stem) for path in PAGES)
    public = [name for name in tsbulk_frames.__all__ if name == name.lower() and name not in ("errors", "dask", "plot")]
    assert [name for name in public if not re.search(rf"(tsb|tsbulk_frames)\.{name}\b", pages)] == []


def test_every_notebook_is_on_its_page() -> None:
    """The page of notebooks names each that is there, and no other."""
    named = re.findall(r"^\| ``notebooks/(\w+\.ipynb)`` \|", text_of("notebooks"), re.MULTILINE)
    assert sorted(named) == sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("page", ["command_line", "testing", "resume"])
def test_commands_of_a_page_are_those_of_the_program(page: str) -> None:
    """Every command and every option that is written down exists."""
    lines = re.findall(r"^tsbulk +(\w+)(.*)$|`tsbulk (\w+)([^`]*)`", text_of(page), re.MULTILINE)
    assert lines
    for first, more, inline, rest in lines:
        command = main.commands[first or inline]
        known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
        used = set(re.findall(r"(?<=\s)(--?[a-z][\w-]*)", re.sub(r"\$\(.*?\)", "", more or rest).split("|")[0]))
        assert used <= known, f"{first or inline}: {used - known}"


def test_exit_codes_of_the_page_are_those_of_the_program() -> None:
    """The table of exit codes is the one of ``tsbulk --help``."""
    cells = re.findall(r"^\| ([\d, ]+) \|", text_of("command_line"), re.MULTILINE)
    assert {int(code) for cell in cells for code in cell.split(",")} == set(EXIT_CODES)


@pytest.mark.parametrize("test", TEST_IDS)
def test_a_promise_names_a_test_that_exists(test: str) -> None:
    """What the README says is shown by a test has that test."""
    path, _, name = test.partition("::")
    assert (ROOT / path).is_file()
    assert name in functions(ROOT / path)


def test_the_readme_names_files_that_exist() -> None:
    """Links and paths lead somewhere; addresses elsewhere have the form of one."""
    links = re.findall(r"\]\(([^)\s]+)\)", README)
    for link in links:
        path, _, anchor = link.partition("#")
        if "://" in link:
            assert re.fullmatch(r"https://[a-z0-9.-]+(/\S*)?", link), link
        else:
            assert not path or (ROOT / path).exists(), link
            assert not anchor or anchor in anchors((ROOT / path).read_text("utf-8") if path else README), link
    paths = re.findall(r"(?:(?<=`)|(?<=python ))((?:tests|notebooks|tsbulk_frames|\.ci)/[\w./]+)", README)
    assert len(paths) > 10
    assert [path for path in paths if not (ROOT / path).exists()] == []
