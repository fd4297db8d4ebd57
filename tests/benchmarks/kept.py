"""What the scripts beside it share that keep a result of the course: from a clock to `data/results/NAME.json`."""

import argparse
import time
from datetime import UTC, datetime
from pathlib import Path

from medlab.runs.recording import provenance
from medlab.runs.results import results_folder
from medlab.runs.state import write_json


class Clock:
    """Notes when a script began, and reads its options: `recording` is True with ``--record``.

    `numbers` are further options and their defaults, kept in `options`.
    """

    def __init__(self, description: str, **numbers: int) -> None:
        parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("--record", action="store_true", help="write the result to data/results/")
        for name, default in numbers.items():
            parser.add_argument(f"--{name}", type=int, default=default, help=f"by default {default}")
        self.options = parser.parse_args()
        self.recording = self.options.record
        self.provenance = provenance(results_folder())  # of what runs, whatever is edited meanwhile
        self.started, self.start = datetime.now(UTC).isoformat(timespec="seconds"), time.perf_counter()

    def keep(self, name: str, script: str, parameters: dict, values: dict, seconds: float | None = None) -> None:
        """Write `data/results/NAME.json` if asked to; `values` is what `medlab.runs.recorded` will show.

        `seconds` is the time of a script that went on where an earlier call was stopped; None counts from its start.
        """
        if not self.recording:
            return
        file = results_folder() / f"{name}.json"
        command = f"python tests/benchmarks/{Path(script).name} --record"
        seconds = round(seconds or time.perf_counter() - self.start, 1)
        facts = {"command": command, "parameters": parameters, "started": self.started, "values": values}
        write_json(file, facts | self.provenance | {"seconds": seconds})
        print(f"recorded in {file.name}")
