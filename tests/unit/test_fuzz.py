"""Random and mutated answers: what plain `json` says, or a `ProtocolError`; never another error, crash or wrong value.

A few hundred cases here; ``python tests/benchmarks/fuzz.py 10000`` runs as many as asked for, in child processes.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit import fuzzing

QUICK = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))


@QUICK
@given(fuzzing.CHANCES)
def test_odd_pages_are_what_json_says(chance: random.Random) -> None:
    """Odd spelling, numbers, names, texts and times: values, kinds and order as `json` gives them, or refused."""
    fuzzing.check_page(fuzzing.page(chance))


@QUICK
@given(fuzzing.CHANCES)
def test_mutated_pages_are_what_json_says(chance: random.Random) -> None:
    """Flipped bits, cuts, doubled stretches: what is still JSON is read as such, the rest refused."""
    fuzzing.check_page(fuzzing.mutated(chance, fuzzing.page(chance)))


@settings(QUICK, max_examples=100)
@given(st.binary(max_size=300))
def test_random_bytes_are_refused(text: bytes) -> None:
    """What is no page ends in a ProtocolError, also inside of an envelope."""
    fuzzing.check_page(text)
    fuzzing.check_page(b'{"records":[' + text + b"]}")
    fuzzing.check_page(b'{"records":[{"_time":"2024-01-01T00:00:00Z","p":' + text + b"}]}")


@settings(QUICK, max_examples=100)
@given(fuzzing.CHANCES)
def test_chains_and_the_operation_take_any_page(chance: random.Random) -> None:
    """`nextRecord` leads on or is a ProtocolError; `retrieve_timeseries` gives what `json` gives."""
    text = fuzzing.page(chance)
    fuzzing.check_chain(text)
    fuzzing.check_timeseries(text)


@pytest.mark.parametrize("kind", fuzzing.ANSWERS)
@settings(QUICK, max_examples=60)
@given(fuzzing.CHANCES)
def test_other_answers_are_read_or_refused(kind: str, chance: random.Random) -> None:
    """Jobs, tokens, listings: what stands there, or a ProtocolError."""
    names, check = fuzzing.ANSWERS[kind]
    text = fuzzing.document(chance, names).encode("utf-8", "surrogatepass")
    check(fuzzing.mutated(chance, text) if chance.random() < 0.3 else text)
