"""Metrics: how good the answers are, and how sure we can be of that."""

from medlab.metrics.advice import AdviceReport, advice_report, simulated_reader
from medlab.metrics.agreement import Agreement, agreement
from medlab.metrics.answers import ClassAnswers, collect_answers, read_answers, report_answers
from medlab.metrics.classification import Calibration, ClassScores, Report, calibration, classification_report
from medlab.metrics.inception import InceptionScore, inception_score
from medlab.metrics.intervals import Interval, bootstrap_ci, mean_interval, paired_difference, verdict
from medlab.metrics.paired import coin_toss, mcnemar, sensitivity_specificity
from medlab.metrics.privacy import membership_auc
from medlab.metrics.segmentation import SegmentationReport, SegmentationScores, segmentation_report
from medlab.metrics.selective import (
    conformal_threshold,
    fit_temperature,
    prediction_sets,
    risk_coverage,
    scale_temperature,
)
from medlab.metrics.shape import cardiothoracic_ratio, intersection_over_union, islands, keep_largest, raggedness
from medlab.metrics.synthesis import (
    ClassShares,
    Diversity,
    Modes,
    Nearest,
    Similarity,
    class_shares,
    diversity,
    features_of,
    fid,
    kid,
    modes_covered,
    nearest,
    psnr_ssim,
)
from medlab.metrics.turing import (
    RaterAgreement,
    TuringReport,
    cohen_kappa,
    fleiss_kappa,
    rater_agreement,
    turing_counts,
    turing_table,
    turing_test,
)
from medlab.metrics.voxels import largest_component, sensitivity

__all__ = [
    "AdviceReport",
    "Agreement",
    "Calibration",
    "ClassAnswers",
    "ClassScores",
    "ClassShares",
    "Diversity",
    "InceptionScore",
    "Interval",
    "Modes",
    "Nearest",
    "RaterAgreement",
    "Report",
    "SegmentationReport",
    "SegmentationScores",
    "Similarity",
    "TuringReport",
    "advice_report",
    "agreement",
    "bootstrap_ci",
    "calibration",
    "cardiothoracic_ratio",
    "class_shares",
    "classification_report",
    "cohen_kappa",
    "coin_toss",
    "collect_answers",
    "conformal_threshold",
    "diversity",
    "features_of",
    "fid",
    "fit_temperature",
    "fleiss_kappa",
    "inception_score",
    "intersection_over_union",
    "islands",
    "keep_largest",
    "kid",
    "largest_component",
    "mcnemar",
    "mean_interval",
    "membership_auc",
    "modes_covered",
    "nearest",
    "paired_difference",
    "prediction_sets",
    "psnr_ssim",
    "raggedness",
    "rater_agreement",
    "read_answers",
    "report_answers",
    "risk_coverage",
    "scale_temperature",
    "segmentation_report",
    "sensitivity",
    "sensitivity_specificity",
    "simulated_reader",
    "turing_counts",
    "turing_table",
    "turing_test",
    "verdict",
]
