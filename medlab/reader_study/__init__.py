"""Reader studies: the visual Turing test and the remote clinic, with answer files, statistics, figures and widgets."""

from medlab.reader_study.advice import advice_report, simulated_reader
from medlab.reader_study.answers import collect_answers, read_answers, report_answers
from medlab.reader_study.plots import advice_plot, turing_plot
from medlab.reader_study.rater import machine_rater
from medlab.reader_study.remote_clinic import RemoteClinic
from medlab.reader_study.statistics import rater_agreement, turing_counts, turing_table, turing_test
from medlab.reader_study.turing import TuringTest
from medlab.reader_study.widgets import clinic_widget, turing_widget

__all__ = [
    "RemoteClinic",
    "TuringTest",
    "advice_plot",
    "advice_report",
    "clinic_widget",
    "collect_answers",
    "machine_rater",
    "rater_agreement",
    "read_answers",
    "report_answers",
    "simulated_reader",
    "turing_counts",
    "turing_plot",
    "turing_table",
    "turing_test",
    "turing_widget",
]
