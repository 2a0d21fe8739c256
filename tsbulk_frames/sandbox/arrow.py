"""The few words about Arrow that the store, the import and the rendering share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute

__all__ = ["INSTANT", "Column", "compute", "concat", "flat", "times_ns", "to_pandas"]

Column: TypeAlias = "pa.Array[Any]"
"""A whole column in one piece."""
INSTANT = pa.timestamp("ns", "UTC")
"""Arrow type of ``_time``."""
compute: Any = pyarrow.compute
"""Untyped, because the published stubs know neither masks nor text columns."""


def times_ns(table: pa.Table) -> npt.NDArray[np.int64]:
    """Give ``_time`` in nanoseconds since the epoch."""
    return table["_time"].cast(pa.int64()).to_numpy()


def flat(column: pa.ChunkedArray[Any]) -> Column:
    """Put a column into one piece, because text is built from whole arrays."""
    return pa.concat_arrays(column.chunks)


def concat(tables: Sequence[pa.Table]) -> pa.Table:
    """Put one table below the other; an aspect may have got new properties between them."""
    return pa.concat_tables(tables, promote_options="default").combine_chunks()


def to_pandas(column: pa.ChunkedArray[Any]) -> pd.Series:
    """Convert without loss: integers and booleans with gaps need pandas' nullable types."""
    if column.null_count and pa.types.is_integer(column.type):
        return column.to_pandas(types_mapper=lambda _: pd.Int64Dtype())
    if column.null_count and pa.types.is_boolean(column.type):
        return column.to_pandas(types_mapper=lambda _: pd.BooleanDtype())
    return column.to_pandas()
