"""Words that the shipped tables may use for endpoints, treatments, measures and units."""

from typing import NamedTuple


class Vocabulary(NamedTuple):
    """Names that bind the shipped tables only; a user's names are free and are checked against the spec."""

    endpoints: tuple[str, ...]
    treatments: tuple[str, ...]
    uses: tuple[str, ...]


SHIPPED_VOCABULARY = Vocabulary(
    endpoints=("os", "pfs", "local_control", "intracranial_pfs"),
    treatments=(
        *("re_resection", "re_srs", "non_surgical", "gtr", "str", "re_resection_re_rt", "litt", "litt_srt"),
        *("srs_after_wbrt", "srs_distant", "re_wbrt", "brachytherapy", "re_resection_brachytherapy"),
        *("mixed_salvage", "chemotherapy", "targeted", "immunotherapy", "bevacizumab", "medical"),
        *("supportive_care", "resection", "hyperbaric_oxygen"),
    ),
    uses=(
        *("use", "use_with_care", "subgroup", "weak", "external_prior", "covariates_only", "do_not_pool"),
        *("duplicate", "target_or_check", "RN_not_tumour"),
    ),
)
MEASURES = ("km", "cif_complement", "crude")
RATIOS = ("cause_specific", "subdistribution")
"""What a hazard ratio is of where causes compete: hazards among those free of all, or Fine and Gray's."""
TIME_UNITS = ("days", "weeks", "months", "years")
POPULATIONS = ("same", "external")
"""Whether a prognostic ratio is of patients in the evidence's own setting."""
RATIO_MODELS = ("adjusted", "crude")
"""Whether a prognostic ratio stood beside other covariates in its regression."""
