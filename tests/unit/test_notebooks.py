"""The notebooks as they are committed: valid, without output, and nothing in them that changes at every run."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def test_the_four_stories_are_there() -> None:
    """The gate executes what it finds: what it must find is named here."""
    assert [path.stem for path in NOTEBOOKS] == [
        "a_cluster", "a_fleet_over_a_year", "first_steps", "loading_history",
    ]  # fmt: skip


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_committed_without_output(path: Path) -> None:
    """No outputs, no execution counts, no metadata but the kernel's name; ids that stay."""
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    assert notebook.metadata == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        assert cell.metadata == {}
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None), cell.id
    stem = path.stem.split("_")[1 if path.stem.startswith("a_") else 0]
    assert [cell.id for cell in notebook.cells] == [f"{stem}-{number:02}" for number in range(len(notebook.cells))]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_use_public_names_and_do_not_sleep(path: Path) -> None:
    """A reader may copy every line: nothing with an underscore of ours, no waiting for its own sake."""
    code = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code")
    assert "tsb._" not in code
    assert "tsbulk_frames._" not in code
    assert "sleep(" not in code
