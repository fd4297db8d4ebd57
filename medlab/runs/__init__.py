"""Runs: a notebook executed with other parameters, many of them in a sweep, and the table that comes out.

Importing this room is light: papermill, Dask and SciPy are imported by the call that needs them.
"""

from medlab.runs.executing import run
from medlab.runs.notebooks import check, find, parameters
from medlab.runs.publishing import publish
from medlab.runs.records import Recorded, recorded
from medlab.runs.recording import record
from medlab.runs.state import RunResult, read
from medlab.runs.sweeping import sweep
from medlab.runs.tables import Table, table

__all__ = [
    "Recorded",
    "RunResult",
    "Table",
    "check",
    "find",
    "parameters",
    "publish",
    "read",
    "record",
    "recorded",
    "run",
    "sweep",
    "table",
]
