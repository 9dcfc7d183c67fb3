"""Units of time, and the columns that hold times."""

DAYS_PER = {"days": 1.0, "weeks": 7.0, "months": 365.25 / 12, "years": 365.25}
TIME_COLUMNS: dict[str, tuple[str, ...]] = {
    "patients": ("time", "entry", "time_upper"),
    "arms": ("survived_to", "clock_shift", "followup"),
    "points": ("time",),
    "medians": ("median", "ci_low", "ci_high"),
    "hazard_ratios": ("followup",),
    "counts": ("time",),
    "registry": ("start", "stop"),
    "curves": (),
    "prognostic_ratios": (),
}
