"""Runs: a notebook executed with other parameters, many of them in a sweep, and the table that comes out.

Importing this room is light: papermill, Dask and SciPy are imported by the call that needs them.
"""

from medlab.runs.executing import run
from medlab.runs.parameters import check_parameters, find_notebook, read_parameters
from medlab.runs.recording import publish
from medlab.runs.results import Recorded, recorded
from medlab.runs.recording import record
from medlab.runs.results import claims_table, results_page
from medlab.runs.state import RunResult, read_run
from medlab.runs.sweeping import sweep
from medlab.runs.tables import Table, table

__all__ = [
    "Recorded",
    "RunResult",
    "Table",
    "check_parameters",
    "claims_table",
    "find_notebook",
    "read_parameters",
    "publish",
    "read_run",
    "record",
    "recorded",
    "results_page",
    "run",
    "sweep",
    "table",
]
