"""Reader studies: the visual Turing test and the remote clinic, as logic, answer files, statistics and widgets."""

from medlab.reader_study.advice import AdviceReport, advice_report, simulated_reader
from medlab.reader_study.answers import ClassAnswers, collect_answers, read_answers, report_answers
from medlab.reader_study.rater import machine_rater
from medlab.reader_study.remote_clinic import RemoteClinic, advice_plot, clinic_widget
from medlab.reader_study.statistics import (
    RaterAgreement,
    TuringReport,
    cohen_kappa,
    fleiss_kappa,
    rater_agreement,
    turing_counts,
    turing_table,
    turing_test,
)
from medlab.reader_study.turing import TuringTest, turing_plot, turing_widget

__all__ = [
    "AdviceReport",
    "ClassAnswers",
    "RaterAgreement",
    "RemoteClinic",
    "TuringReport",
    "TuringTest",
    "advice_plot",
    "advice_report",
    "clinic_widget",
    "cohen_kappa",
    "collect_answers",
    "fleiss_kappa",
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
