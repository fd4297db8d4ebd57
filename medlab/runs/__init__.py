"""Runs: a notebook executed with other parameters, sweeps over parameters and seeds, and tables of the results.

Importing this room is light: papermill, Dask, pandas and SciPy are imported by the call that needs them.
"""

from medlab.runs.executing import run
from medlab.runs.parameters import check_parameter, check_parameters, find_notebook, read_parameters, spread_seed
from medlab.runs.recording import publish, record
from medlab.runs.records import Recorded, grow_record, recorded, results_folder
from medlab.runs.results import claims_table, replication_rows, replication_table, results_page
from medlab.runs.state import RunResult, read_run
from medlab.runs.sweeping import sweep
from medlab.runs.tables import table

__all__ = [
    "Recorded",
    "RunResult",
    "check_parameter",
    "check_parameters",
    "claims_table",
    "find_notebook",
    "grow_record",
    "publish",
    "read_parameters",
    "read_run",
    "record",
    "recorded",
    "replication_rows",
    "replication_table",
    "results_folder",
    "results_page",
    "run",
    "spread_seed",
    "sweep",
    "table",
]
