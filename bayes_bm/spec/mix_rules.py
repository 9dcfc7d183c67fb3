"""What keys about the mixes of arms and of a named population may say against each other."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bayes_bm.spec.document import Spec

WORDS = {"two_valued": ("share",), "continuous": ("mean",), None: ("share", "mean")}
"""How a population names a covariate, by its kind; of one without a kind, the evidence says which it is."""


def case_mix_rules(spec: "Spec") -> Iterator[str]:
    """Yield faults: arms are averaged over all covariates or over none, and go together in one way."""
    without = [name for name, term in spec.covariates.items() if term.case_mix is None]
    if spec.case_mixes and without:
        yield f"covariates.{without[0]}.case_mix: this table is required, since another covariate has one"
    if spec.case_mixes and spec.integration.correlation:
        yield (
            "integration.correlation: found beside case_mix; allowed: none (covariates are independent inside an arm),"
            " or integration.common_correlation"
        )
    for name, term in spec.covariates.items():
        named = () if term.case_mix is None else term.case_mix.by_named or ()
        for treatment in named:
            if treatment not in spec.treatments.names:
                allowed = ", ".join(spec.treatments.names)
                yield f"covariates.{name}.case_mix.by_named: found {treatment}; allowed: {allowed}"


def common_correlation_rules(spec: "Spec") -> Iterator[str]:
    """Yield faults: covariates of arms whose mixes are modelled go together."""
    common = spec.integration.common_correlation
    if common is None:
        return
    if not spec.case_mixes:
        yield (
            "integration.common_correlation: found without case_mix; allowed: beside covariates.NAME.case_mix, or"
            " integration.correlation of two covariates"
        )
        return
    for name in common.turned:
        if name not in spec.covariates:
            yield f"integration.common_correlation.turned: found {name}; allowed: {', '.join(spec.covariates)}"


def population_rules(spec: "Spec") -> Iterator[str]:
    """Yield faults: a population is shares of two-valued covariates and means of others."""
    for word, value in (spec.population or {}).items():
        words = [f"{one}_{name}" for name, term in spec.covariates.items() for one in WORDS[term.kind]]
        if word not in words:
            yield f"population: found {word}; allowed: {', '.join(words) or 'none, for this spec has no covariates'}"
        elif word.startswith("share_") and not 0 <= value <= 1:
            yield f"population.{word}: found {value:g}; allowed: 0 to 1, a share"
