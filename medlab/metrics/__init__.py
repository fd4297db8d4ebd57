"""Metrics: how good the answers are, and how sure we can be of that."""

from medlab.metrics.agreement import Agreement, agreement
from medlab.metrics.classification import Calibration, ClassScores, Report, calibration, classification_report
from medlab.metrics.intervals import Interval, bootstrap_ci, mean_interval, paired_difference, verdict
from medlab.metrics.paired import coin_toss, mcnemar, sensitivity_specificity
from medlab.metrics.segmentation import SegmentationReport, SegmentationScores, segmentation_report
from medlab.metrics.shape import (
    cardiothoracic_ratio,
    intersection_over_union,
    islands,
    keep_largest,
    raggedness,
)
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
from medlab.metrics.voxels import largest_component, sensitivity

__all__ = [
    "Agreement",
    "Calibration",
    "ClassScores",
    "ClassShares",
    "Diversity",
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
    "diversity",
    "features_of",
    "fid",
    "kid",
    "largest_component",
    "intersection_over_union",
    "islands",
    "keep_largest",
    "mcnemar",
    "mean_interval",
    "modes_covered",
    "nearest",
    "paired_difference",
    "psnr_ssim",
    "raggedness",
    "segmentation_report",
    "sensitivity",
    "sensitivity_specificity",
    "verdict",
]
