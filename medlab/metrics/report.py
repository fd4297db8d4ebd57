"""Base class of the classification and segmentation reports: printing, and export to pandas and JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medlab.metrics.intervals import Interval, nan_to_none

if TYPE_CHECKING:  # pandas takes half a second to import
    from pandas import DataFrame


class Report:
    """Base of the reports: fields that are an `Interval` are scores, and `per_class` holds those of each class."""

    images: int
    patients: int
    level: float
    per_class: dict

    def _title(self) -> str:
        people = f" of {self.patients} patients"
        if self.patients == self.images:
            people = ", every image counts as its own patient"
        return f"{self.images} images{people}, {self.level:.0%} intervals resampled by patient"

    def to_frame(self) -> DataFrame:
        """Convert to a DataFrame: a row per class and score, "all classes" first; columns value, low, high."""
        from pandas import DataFrame, MultiIndex

        scores = {"all classes": self, **self.per_class}
        rows = {(name, score): value for name, one in scores.items() for score, value in _intervals(one).items()}
        index = MultiIndex.from_tuples(rows, names=["class", "score"])
        return DataFrame(list(rows.values()), index, Interval._fields)

    def to_dict(self) -> dict:
        """Convert to numbers, lists and dicts, ready for JSON; None stands for a value that is not defined."""
        return nan_to_none(self)

    def _tables(self) -> list[DataFrame]:
        """The formatted scores of all classes, and those of each class with its counts."""
        from pandas import DataFrame

        summary = {score.replace("_", " "): f"{value:.3f}" for score, value in _intervals(self).items()}
        classes = {
            name: {key: f"{value:.3f}" if isinstance(value, Interval) else value for key, value in vars(scores).items()}
            for name, scores in self.per_class.items()
        }
        return [DataFrame({"all classes": summary}), DataFrame.from_dict(classes, orient="index")]

    def __str__(self) -> str:
        return "\n\n".join([self._title(), *(table.to_string() for table in self._tables())])

    def _repr_html_(self) -> str:
        return f"<p>{self._title()}</p>" + "".join(table.to_html(border=0) for table in self._tables())


def _intervals(scores: object) -> dict[str, Interval]:
    return {name: value for name, value in vars(scores).items() if isinstance(value, Interval)}
