"""Metrics: how good the answers are, and how sure we can be of that."""

from medlab.metrics.classification import Calibration, ClassScores, Report, calibration, classification_report
from medlab.metrics.intervals import Interval, bootstrap_ci, mean_interval, paired_difference, verdict
from medlab.metrics.segmentation import SegmentationReport, SegmentationScores, segmentation_report
from medlab.metrics.voxels import largest_component, sensitivity

__all__ = [
    "Calibration",
    "ClassScores",
    "Interval",
    "Report",
    "SegmentationReport",
    "SegmentationScores",
    "bootstrap_ci",
    "calibration",
    "classification_report",
    "largest_component",
    "mean_interval",
    "paired_difference",
    "segmentation_report",
    "sensitivity",
    "verdict",
]
