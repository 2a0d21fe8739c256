"""What things look like, in a terminal and in a notebook: safe, short, in one style; and how progress is told."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest

import tsbulk_frames as tsb
from tsbulk_frames import _html, _text, progress
from tsbulk_frames.answers import ImportJob, JobStatus
from tsbulk_frames.errors import FrameError
from tsbulk_frames.importplan import ImportPlan, PlannedPartition, Problem
from tsbulk_frames.model import Series, TwinType
from tsbulk_frames.report import PartitionReport

EVIL = "<script>alert('1')</script>\"&\x1b[31m"
SECRET = "hush-hush"
STATUSES = ("SUCCESS", "ERROR", "UNKNOWN", "IN_PROGRESS")


def report(count: int, evil: str = "day", bad: tuple[int, ...] = ()) -> tsb.ImportReport:
    """Make a report in which some partitions failed."""
    rows = [
        PartitionReport(
            f"{evil}{n}", 1, 10, 1_000, evil, evil, f"{evil}job{n}", "ERROR" if n in bad else "SUCCESS", evil
        )
        for n in range(count)
    ]
    return tsb.ImportReport(rows, {}, f"/tmp/{evil}.sqlite")


def plan(count: int, evil: str = "day", bad: tuple[int, ...] = ()) -> ImportPlan:
    """Make a plan in which some partitions have problems."""
    days = [
        PlannedPartition(f"{evil}{n}", 10, "2026-03-01T00:00:00Z", "2026-03-01T00:00:09Z", 1, 1_000)
        for n in range(count)
    ]
    problems = [Problem(f"{evil}{n}", evil, FrameError(evil)) for n in bad]
    return ImportPlan(Series(evil.replace("/", "|"), "flow"), TwinType.PERFORMANCE, days, problems)


def connection() -> tsb.Connection:
    """Open a connection whose settings hold secrets."""
    credentials = tsb.AppCredentials("pumps", "1.0", "acme", "acme", "id", SECRET)
    config = tsb.RestClientConfig(proxies={"https": f"http://me:{SECRET}@proxy:1"}, max_workers=3)
    return tsb.connect("https://gateway.eu1.mindsphere.io", credentials=credentials, config=config)


def shown() -> dict[str, object]:
    """One of each kind, all text in it hostile."""
    return {
        "report": report(3, EVIL, bad=(1,)),
        "plan": plan(3, EVIL, bad=(1,)),
        "job": ImportJob(EVIL, JobStatus.ERROR, EVIL, EVIL, EVIL),
        "connection": connection(),
        "download": tsb.DownloadInfo(Path("/tmp") / EVIL.replace("/", "|"), (), 1, 2, 3),
        "cache": tsb.CacheInfo(Path(EVIL), 1, 2, 3),
    }


class Page(HTMLParser):
    """Names of all elements of a page, and whether each is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.open: list[str] = []
        self.words = ""
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.open.append(tag)
        assert {name for name, _ in attrs} <= {"style", "scope", "colspan"}

    def handle_endtag(self, tag: str) -> None:
        self.words += "\n" * (tag in ("td", "li", "p"))
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


PLAIN = {"div", "p", "b", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "span", "code"}


@pytest.mark.parametrize("kind", shown())
def test_what_came_from_elsewhere_is_text(kind: str) -> None:
    """However hostile a name or message is: in a notebook it is no markup, and all elements are closed."""
    one = shown()[kind]
    page = Page(one._repr_html_())  # type: ignore[attr-defined]
    assert page.names <= PLAIN
    assert kind == "connection" or "alert('1')" in page.words


@pytest.mark.parametrize("kind", ["report", "plan"])
def test_a_terminal_is_not_steered(kind: str) -> None:
    """No escape sequence of a name or message reaches the terminal."""
    assert "\x1b" not in repr(shown()[kind])


def test_no_secret_is_shown() -> None:
    """A connection shows gateway, kind of credentials and what differs from the default: no secret, no password."""
    con = connection()
    for text in (repr(con), str(con), con._repr_html_(), repr(con.config)):
        assert SECRET not in text
    for text in (repr(con), Page(con._repr_html_()).words):
        for part in ("https://gateway.eu1.mindsphere.io", "AppCredentials", "'***'", "max_workers", "***@proxy:1"):
            assert part in text
        assert "read_timeout" not in text


@pytest.mark.parametrize("make", [report, plan])
def test_of_many_rows_those_that_matter_are_shown(make: object) -> None:
    """At most twenty, those with faults among them, and how many there are besides."""
    page = Page(make(360, bad=(5, 200))._repr_html_()).words  # type: ignore[operator]
    assert "… and 340 more" in page
    assert page.split().count("…") == 3  # before and after 200, and the foot
    days = re.findall(r"day\d+$", page, re.MULTILINE)
    assert {"day0", "day5", "day200", "day359"} <= set(days)
    assert "… and" not in Page(make(20)._repr_html_()).words  # type: ignore[operator]
    text = repr(make(360, bad=(5, 200)))  # type: ignore[operator]
    assert "… and 350 more" in text
    assert text.splitlines().count("…") == 3
    assert len(text.splitlines()) < 30


def test_rows_are_picked_in_order() -> None:
    """Loud ones first, then the ends; never more than asked for, nothing twice."""
    rows = list(range(100))
    assert _text.pick(rows, [one in (50, 51) for one in rows], 6) == [0, 1, None, 50, 51, None, 98, 99]
    assert _text.pick(rows, [True] * 100, 6) == [0, 1, 2, 3, 4, 5]
    assert _text.pick(rows, [one < 6 for one in rows], 6) == [0, 1, 2, 3, 4, 5]
    assert _text.pick(rows[:6], [False] * 6, 6) == rows[:6]
    assert _text.pick(rows, [one > 95 for one in rows], 5) == [0, None, 96, 97, 98, 99]
    assert _text.pick(rows, [one > 90 for one in rows], 2) == [None, 91, 92]


def test_outcomes_are_words_not_colours_alone() -> None:
    """Each outcome is written out, with a sign of its own."""
    rows = [PartitionReport(str(n), 1, 1, 1, "", "", None, status) for n, status in enumerate(STATUSES)]
    words = Page(tsb.ImportReport(rows, {})._repr_html_()).words
    for badge in ("✓ done", "✗ failed", "? unknown", "… running"):
        assert badge in words
    assert len({sign for sign, _ in _html._TINTS.values()}) == len(_html._TINTS)


def test_a_report_names_the_command_to_go_on_with() -> None:
    """Whole, in one line, to be copied."""
    bad = report(3, bad=(1,))
    command = "tsb.resume_import('/tmp/day.sqlite')"
    assert f"go on with: {command}" in repr(bad).splitlines()
    assert command in Page(bad._repr_html_()).words
    assert "resume" not in repr(report(3))


def test_a_long_reason_is_cut() -> None:
    """A page of HTML for a message does not hide the report; the attribute has it whole."""
    long = report(1, bad=(0,))
    long.partitions[0].message = "m" * 100_000
    assert "mmm…" in repr(long)
    assert max(len(repr(long)), len(long._repr_html_())) < 3_000
    assert len(long.partitions[0].message) == 100_000


@pytest.mark.parametrize("make", [report, plan])
def test_they_are_gone_through_like_a_frame(make: object) -> None:
    """By the names of their columns."""
    one = make(3)  # type: ignore[operator]
    assert list(one) == list(one.to_frame())
    assert "rows" in one
    assert "speed" not in one


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 B"),
        (1, "1 kB"),
        (99_000, "99 kB"),
        (150_000, "0.1 MB"),
        (3_250_000, "3.2 MB"),
        (93_000_000, "93 MB"),
        (3.5e9, "3.5 GB"),
    ],
)
def test_sizes_in_words(size: float, words: str) -> None:
    """About so many bytes."""
    assert _text.as_size(size) == words


def test_a_job_is_short() -> None:
    """What is not known is left out."""
    job = ImportJob("8f", JobStatus.IN_PROGRESS)
    assert repr(job) == "ImportJob(id='8f', status='IN_PROGRESS')"
    assert "message" not in job._repr_html_()


# progress


class Bar:
    """Stands in for tqdm's bar."""

    def __init__(self) -> None:
        self.n = 0.0
        self.drawn: list[tuple[float, str]] = []
        self._words = ""

    def set_postfix_str(self, words: str, *, refresh: bool) -> None:
        assert not refresh
        self._words = words

    def update(self, step: float) -> None:
        self.n += step
        self.drawn.append((self.n, self._words))

    def close(self) -> None:
        pass


def test_a_bar_is_drawn_ten_times_a_second() -> None:
    """However often it is told something; and at the end as things stand then."""
    now = [0.0]
    bar = Bar()
    told = progress._Bar(bar, "B", lambda: now[0])
    for _ in range(1_000):
        now[0] += 0.001
        told.advance(1_000)
        told.tell(rows=7)
    assert 9 <= len(bar.drawn) <= 10
    told.close()
    assert bar.drawn[-1] == (0, "1.0 MB, 7 rows")


def test_a_bar_stands_where_it_is_told() -> None:
    """The position is a share of the total, never goes back, and is not the amount."""
    bar = Bar()
    told = progress._Bar(bar, "B", lambda: 0.0)
    told.advance(5_000_000)
    told.close()
    assert bar.drawn.pop() == (0, "5.0 MB")
    for covered in (10, 30, 20):
        told.reach(covered, 1, 3)
    told.close()
    assert bar.drawn == [(30, "5.0 MB, 1/3 windows")]


def test_jobs_are_counted_by_state() -> None:
    """Each partition in one state at a time; those that are through move the bar."""
    bar = Bar()
    bar.n = 1
    told = progress._Bar(bar, "B", lambda: 0.0)
    board = progress.Board(told, 5, ["a"])
    for name, state in [("b", "uploading"), ("c", "uploading"), ("b", "submitted"), ("b", "in_progress")]:
        board.put(name, state)
    board.job("b", "SUCCESS")  # ended, but not through: it may be verified yet
    told.close()
    assert bar.drawn[-1] == (1, "1/5 partitions, 1 uploading, 1 in progress, 1 done")
    board.put("b", "done")
    board.put("c", "failed")
    board.put("c", "failed")
    board.sent(2_000_000)
    told.close()
    assert bar.drawn[-1] == (3, "2.0 MB, 3/5 partitions, 2 done, 1 failed")


def test_jobs_that_nobody_awaits_are_through_once_started() -> None:
    """With wait=False the bar comes to its end."""
    bar = Bar()
    told = progress._Bar(bar, "", lambda: 0.0)
    board = progress.Board(told, 2, noun="jobs", awaited=False)
    board.put("a", "uploading")
    board.job("a", "SUBMITTED")
    board.job("b", "IN_PROGRESS")
    told.close()
    assert bar.drawn[-1] == (2, "2/2 jobs, 1 submitted, 1 in progress")


def test_a_bar_goes_on_while_nothing_changes() -> None:
    """Jobs that are asked for again and again in the same state: the time shown beside the bar does not stand still."""
    now = [0.0]
    bar = Bar()
    board = progress.Board(progress._Bar(bar, "B", lambda: now[0]), 2)
    for now[0] in (1.0, 2.0, 3.0):
        board.job("a", "IN_PROGRESS")
    assert bar.drawn == [(0, "0/2 partitions, 1 in progress")] * 3


@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(5, "gone"), ValueError("I/O operation on closed file")])
def test_a_terminal_that_is_gone_stops_nothing(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar is not drawn any more; what it tells of goes on."""
    tries: list[str] = []

    class Gone(Bar):
        def update(self, step: float) -> None:
            tries.append("update")
            raise error

        def close(self) -> None:
            tries.append("close")
            raise error

    monkeypatch.setattr(progress, "_open_bar", lambda *_: Gone())
    with progress.meter(True, "x", unit="B") as told:
        monkeypatch.setattr(told, "_drawn", -1e9)
        told.advance(1)
        monkeypatch.setattr(told, "_drawn", -1e9)
        told.advance(1)
    assert tries == ["update", "close"]


def test_a_function_hears_amounts_only() -> None:
    """As ints, one by one; what is told besides is for bars."""
    heard: list[int] = []
    with progress.meter(heard.append, "x", unit="B", total=9) as told:
        told.advance(3)
        told.tell(at=3, rows=1)
        told.reach(1, 2, 3)
        told.advance(4)
    assert heard == [3, 4]


@pytest.mark.parametrize("asked", [None, False, True])
def test_silence_where_nobody_looks(asked: bool | None, capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing is printed, not even with True, unless standard error is a terminal."""
    with progress.meter(asked, "x", unit="B") as told:
        told.advance(1)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", ["none", "closed", "logger"])
def test_without_standard_error_there_is_silence(kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As in a program without a console, or one that sends its standard error to a log."""
    closed = (tmp_path / "log").open("w")
    closed.close()
    logger = SimpleNamespace(write=lambda text: None, flush=lambda: None)
    monkeypatch.setattr(sys, "stderr", {"none": None, "closed": closed, "logger": logger}[kind])
    with progress.meter(True, "x", unit="B") as told:
        told.advance(1)


def test_a_bar_without_tqdm_is_a_config_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the command that installs it."""
    monkeypatch.setattr(progress, "find_spec", lambda name: None)
    with pytest.raises(tsb.ConfigError, match=r"tsbulk-frames\[progress\]"), progress.meter(True, "x", unit="B"):
        pass


def test_a_terminal_without_a_width_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """A width is assumed; a label is no longer than it may be and steers nothing."""
    written: list[str] = []
    terminal = SimpleNamespace(isatty=lambda: True, write=written.append, flush=lambda: None, encoding="utf-8")
    terminal.fileno = lambda: (_ for _ in ()).throw(OSError())
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress.meter(True, "read\x1b[31m" + "x" * 99, unit="B", total=10) as told:
        told.tell(at=10)
    text = "".join(written)
    assert "\x1b[31m" not in text
    assert "…: 100%|" in text
    assert max(map(len, re.split(r"[\r\n]", text))) <= 120
