"""Reader study: figures of its reports."""

from collections.abc import Mapping

from medlab.reader_study.advice import AdviceReport
from medlab.reader_study.statistics import TuringReport
from medlab.visualize.charts import grouped_bars
from medlab.visualize.figures import Figure, subplots


def turing_plot(reports: Mapping[str, TuringReport]) -> Figure:
    """Plot of raters: accuracy with its exact interval, and hit rate over false alarm rate.

    On the diagonal of the right panel both kinds are answered as synthetic equally often: d' is 0. The further above
    it, the larger d'; lower left is biased towards "real", upper right towards "synthetic".

    Raises:
        ValueError: no report.
    """
    if not reports:
        raise ValueError("nothing to draw: give at least one report with its name")
    each = [
        f"{name} {one.accuracy:.0%}, d' {one.d_prime.value:.2f}, biased towards {one.bias}"
        for name, one in reports.items()
    ]
    alt = f"Accuracy with 95 % interval, chance is 50 %; and d': {'; '.join(each)}."
    reports = {name.replace("$", r"\$"): one for name, one in reports.items()}  # a name is no formula
    fig, (left, right) = subplots(1, 2, alt=alt, size=(9, max(3.6, 0.32 * len(reports) + 1.2)))
    for name, one in reports.items():
        false_alarms = 100 * one.real_as_synth / (one.real_as_real + one.real_as_synth)
        hits = 100 * one.synth_as_synth / (one.synth_as_real + one.synth_as_synth)
        right.plot(false_alarms, hits, linestyle="", label=f"{name}\nd' {one.d_prime:.2f}, c {one.criterion:.2f}")
    accuracy = {name: {"all images": one.accuracy} for name, one in reports.items()}
    grouped_bars(accuracy, "accuracy, exact 95 % interval", ax=left)
    left.axhline(0.5, color="0.4", linestyle=":", marker="")
    left.set(ylim=(-0.03, 1.03))
    left.get_legend().remove()  # that of the right panel holds for both
    right.plot([0, 100], [0, 100], color="0.4", linestyle=":", marker="", label="d' = 0")
    right.set(xlabel="false alarm rate (%): real as synthetic", xlim=(-3, 103), aspect="equal")
    right.set(ylabel="hit rate (%):\nsynthetic as synthetic", ylim=(-3, 103))
    right.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.02, 0.5))
    return fig


def advice_plot(reports: Mapping[str, AdviceReport]) -> Figure:
    """Plot of the error rates of readers with their intervals: alone, with any, with right and with wrong advice.

    Raises:
        ValueError: no report.
    """
    fields = {"alone": "alone", "advised": "advised", "right advice": "right_advice", "wrong advice": "wrong_advice"}
    rates = {kind: {name: getattr(report, field) for name, report in reports.items()} for kind, field in fields.items()}
    return grouped_bars(rates, "error rate, 95 % interval")
