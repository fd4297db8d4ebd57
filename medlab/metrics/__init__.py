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
from medlab.metrics.voxels import largest_component, sensitivity

__all__ = [
    "Agreement",
    "Calibration",
    "ClassScores",
    "Interval",
    "Report",
    "SegmentationReport",
    "SegmentationScores",
    "agreement",
    "bootstrap_ci",
    "calibration",
    "cardiothoracic_ratio",
    "classification_report",
    "coin_toss",
    "largest_component",
    "intersection_over_union",
    "islands",
    "keep_largest",
    "mcnemar",
    "mean_interval",
    "paired_difference",
    "raggedness",
    "segmentation_report",
    "sensitivity",
    "sensitivity_specificity",
    "verdict",
]
