"""Evaluation metrics of classifiers, segmentation networks and generated images, with confidence intervals."""

from medlab.metrics.agreement import limits_of_agreement
from medlab.metrics.claims import Claim, Outcome, judge, verdict
from medlab.metrics.classification import calibration, classification_report, fit_temperature, scale_temperature
from medlab.metrics.coverage import class_shares, diversity, membership_auc, modes_covered, nearest
from medlab.metrics.generation import features_of, fid, inception_score, kid, psnr_ssim
from medlab.metrics.intervals import Interval, bootstrap_ci, mean_interval, paired_difference, success_rate
from medlab.metrics.paired import mcnemar, sensitivity_specificity
from medlab.metrics.power import interval_floor, seeds_needed, smallest_detectable
from medlab.metrics.segmentation import intersection_over_union, segmentation_report, sensitivity
from medlab.metrics.selective import conformal_threshold, prediction_sets, risk_coverage
from medlab.metrics.shape import border_irregularity, cardiothoracic_ratio, extra_components, keep_largest_component

__all__ = [
    "Claim",
    "Interval",
    "Outcome",
    "bootstrap_ci",
    "border_irregularity",
    "calibration",
    "cardiothoracic_ratio",
    "class_shares",
    "classification_report",
    "conformal_threshold",
    "diversity",
    "extra_components",
    "features_of",
    "fid",
    "fit_temperature",
    "inception_score",
    "intersection_over_union",
    "interval_floor",
    "judge",
    "keep_largest_component",
    "kid",
    "limits_of_agreement",
    "mcnemar",
    "mean_interval",
    "membership_auc",
    "modes_covered",
    "nearest",
    "paired_difference",
    "prediction_sets",
    "psnr_ssim",
    "risk_coverage",
    "scale_temperature",
    "seeds_needed",
    "segmentation_report",
    "sensitivity",
    "sensitivity_specificity",
    "smallest_detectable",
    "success_rate",
    "verdict",
]
