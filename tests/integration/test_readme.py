"""What the README says a newcomer can type runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"


def test_the_notebook_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """The first Python block, to the letter."""
    block = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)[0]
    assert len(block.strip().splitlines()) <= 14
    exec(compile(block, str(README), "exec"), {})
    shown = capsys.readouterr().out
    assert "2 done" in shown
    assert "1440" in shown


def test_every_block_is_python() -> None:
    """No example has a typing error."""
    for block in re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL):
        compile(block, str(README), "exec")
