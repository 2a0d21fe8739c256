"""Errors: one tree, and everything in them survives a pickle."""

from __future__ import annotations

import pickle

import pytest

from tsbulk_frames import errors

SAMPLES = [
    errors.TsBulkError("base"),
    errors.ConfigError("setting"),
    errors.FrameError("bad", column="speed", rows=range(9)),
    errors.TransportError("gone", method="GET", url="https://host/x", attempts=3, unknown_outcome=True),
    errors.ServiceError("500", status=500, detail="x", request_id="r", method="GET", url="u", attempts=2),
    errors.AuthError("401", status=401),
    errors.NotFoundError("404", status=404),
    errors.ConflictError("409", status=409),
    errors.ThrottledError("429", status=429),
    errors.ProtocolError("odd"),
    errors.PageError("page", page=3),
    errors.DecodeError("page", page=3, record=4, property="speed"),
    errors.JobError("job", job="8f", message="why", files=["a.json"]),
    errors.JobTimeout("late", job_ids=["8f"]),
    errors.PartialImportError("part", done=["a"], failed=["b"], unknown=["c"], errors=[errors.TsBulkError("x")]),
]


@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)
def test_errors_survive_pickle(error: errors.TsBulkError) -> None:
    """Class, message and attributes come out as they went in."""
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is type(error)
    assert str(back) == str(error)
    mine, other = error.__dict__.copy(), back.__dict__.copy()
    assert [str(one) for one in mine.pop("errors", ())] == [str(one) for one in other.pop("errors", ())]
    assert mine == other


def test_every_class_has_a_sample() -> None:
    """The list above is complete."""
    classes = {getattr(errors, name) for name in errors.__all__}
    assert classes == {type(sample) for sample in SAMPLES}


def test_the_tree() -> None:
    """Builtin families, the vendor's name, and who may try again."""
    assert errors.MindsphereError is errors.TsBulkError
    assert issubclass(errors.FrameError, ValueError)
    assert issubclass(errors.ConfigError, ValueError)
    assert issubclass(errors.JobTimeout, TimeoutError)
    for child in (errors.AuthError, errors.NotFoundError, errors.ConflictError, errors.ThrottledError):
        assert issubclass(child, errors.ServiceError)
    transient = {type(sample).__name__ for sample in SAMPLES if sample.transient}
    assert transient == {"TransportError", "ServiceError", "ThrottledError", "JobTimeout"}


def test_rows_are_the_first_five() -> None:
    """A million bad rows do not fill an error."""
    assert errors.FrameError("bad", rows=range(9)).rows == (0, 1, 2, 3, 4)
