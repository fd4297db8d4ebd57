"""Metrics: how good the answers are, and how sure we can be of that."""

from medlab.metrics.agreement import Agreement, agreement
from medlab.metrics.classification import Calibration, ClassScores, Report, calibration, classification_report
from medlab.metrics.generation import (
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
from medlab.metrics.shape import (
    border_irregularity,
    cardiothoracic_ratio,
    intersection_over_union,
    islands,
    keep_largest,
    largest_component,
    sensitivity,
)

__all__ = [
    "Agreement",
    "Calibration",
    "ClassScores",
    "ClassShares",
    "Diversity",
    "InceptionScore",
    "Interval",
    "Modes",
    "Nearest",
    "Report",
    "SegmentationReport",
    "SegmentationScores",
    "Similarity",
    "agreement",
    "bootstrap_ci",
    "calibration",
    "cardiothoracic_ratio",
    "class_shares",
    "classification_report",
    "coin_toss",
    "conformal_threshold",
    "diversity",
    "features_of",
    "fid",
    "fit_temperature",
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
    "border_irregularity",
    "risk_coverage",
    "scale_temperature",
    "segmentation_report",
    "sensitivity",
    "sensitivity_specificity",
    "verdict",
]
