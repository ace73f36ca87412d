"""Statistics of predictions: ROC analysis, agreement, rescans, bootstrap by patient, subgroups, calibration, intervals,
overlap of masks, association, survival, disparity.

>>> from cardiolens.stats import auroc, bland_altman
>>> auroc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]).auc
0.75

In what concerns a measured quantity the prediction comes first and a difference is prediction minus label; in what
concerns a class the labels come first.  Input that a figure cannot be computed from raises `StatsError`.
"""

from cardiolens.errors import StatsError
from cardiolens.stats.agreement import (
    BiasCorrection,
    BlandAltman,
    bland_altman,
    fit_bias_correction,
    mae,
    pearson_r,
    r2,
    rmse,
)
from cardiolens.stats.association import Association, Coefficient, associate
from cardiolens.stats.bootstrap import Bootstrapped, bootstrap
from cardiolens.stats.calibration import Calibration, ReliabilityBin, calibration
from cardiolens.stats.conformal import Coverage, check_coverage, split_conformal
from cardiolens.stats.disparity import Disparity, disparity_ratios
from cardiolens.stats.multiplicity import AdjustedP, adjust_p_values
from cardiolens.stats.overlap import Overlap, dice, hd95_mm, overlap_of
from cardiolens.stats.paired import PairedBootstrap, compare_bootstrap
from cardiolens.stats.proportions import (
    OperatingPoint,
    Proportion,
    operating_point,
    proportion,
    threshold_at_sensitivity,
)
from cardiolens.stats.reports import Metric, Report, classification_report, regression_report
from cardiolens.stats.rescan import (
    Icc,
    IntraclassCorrelation,
    RescanAgreement,
    intraclass_correlation,
    rescan_agreement,
)
from cardiolens.stats.roc import (
    Auroc,
    AurocComparison,
    PrecisionRecall,
    RocCurve,
    auroc,
    compare_auroc,
    match_keys,
    precision_recall,
    roc_curve,
)
from cardiolens.stats.subgroups import Subgroup, SubgroupTable, subgroup_table
from cardiolens.stats.survival import CoxModel, Hazard, KaplanMeier, SurvivalCurve, cox, kaplan_meier

__all__ = [
    "AdjustedP",
    "Association",
    "Auroc",
    "AurocComparison",
    "BiasCorrection",
    "BlandAltman",
    "Bootstrapped",
    "Calibration",
    "Coefficient",
    "Coverage",
    "CoxModel",
    "Disparity",
    "Hazard",
    "Icc",
    "IntraclassCorrelation",
    "KaplanMeier",
    "Metric",
    "OperatingPoint",
    "Overlap",
    "PairedBootstrap",
    "PrecisionRecall",
    "Proportion",
    "ReliabilityBin",
    "Report",
    "RescanAgreement",
    "RocCurve",
    "StatsError",
    "Subgroup",
    "SubgroupTable",
    "SurvivalCurve",
    "adjust_p_values",
    "associate",
    "auroc",
    "bland_altman",
    "bootstrap",
    "calibration",
    "check_coverage",
    "classification_report",
    "compare_auroc",
    "compare_bootstrap",
    "cox",
    "dice",
    "disparity_ratios",
    "fit_bias_correction",
    "hd95_mm",
    "intraclass_correlation",
    "kaplan_meier",
    "mae",
    "match_keys",
    "operating_point",
    "overlap_of",
    "pearson_r",
    "precision_recall",
    "proportion",
    "r2",
    "regression_report",
    "rescan_agreement",
    "rmse",
    "roc_curve",
    "split_conformal",
    "subgroup_table",
    "threshold_at_sensitivity",
]
