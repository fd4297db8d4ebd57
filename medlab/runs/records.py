"""Results that came with the course: `data/results/NAME.json`, the kept `results.json` of a full-scale run."""

from dataclasses import dataclass
from pathlib import Path

from medlab.runs.notebooks import lessons_folder
from medlab.runs.state import load_json


@dataclass(frozen=True)
class Recorded:
    """One recorded result; `details` is None while nobody has recorded it.

    `details` holds "values" (what the run recorded, figures per seed among them), "command", "commit", "hardware",
    "versions", "seconds" and "started".
    """

    name: str
    details: dict | None

    @property
    def values(self) -> dict:
        """What the run recorded; empty while there is no record."""
        return self.details["values"] if self.details else {}

    def __str__(self) -> str:
        if self.details is None:
            return f"recorded result {self.name}: none yet"
        d = self.details
        where = d["hardware"]["gpu"] or f"{d['hardware']['cpu']}, {d['hardware']['cores']} cores"
        lines = [
            f"recorded result {self.name} (`{d['command']}`, {d['seconds']:.0f} s on {where}, {d['started'][:10]}):"
        ]
        verdicts, scores = self.values.get("verdicts", {}), self.values.get("scores", {})
        wide = max(map(len, [*verdicts, *scores]), default=0)
        for claim, outcome in verdicts.items():
            gap = self.values["differences"][claim]
            lines.append(
                f"  {claim:{wide}} difference {gap['value']:.3f} [{gap['low']:.3f}, {gap['high']:.3f}]   {outcome}"
            )
        for name, score in scores.items():
            lines.append(f"  {name:{wide}} {score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]")
        return "\n".join(lines)


def results_folder() -> Path:
    """Return `data/results/` beside the lessons."""
    return lessons_folder().parent / "data" / "results"


def recorded(name: str) -> Recorded:
    """Return the recorded result `name`, e.g. "01-claim"; printing it gives its scores, verdicts and origin."""
    file = results_folder() / f"{name}.json"
    return Recorded(name, load_json(file) if file.is_file() else None)
