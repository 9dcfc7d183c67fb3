"""What each key of a spec means, with an example: for messages, for editors (`spec/schema.py`) and docs/spec-keys.md.

Apart from the records, because a spec without faults is read without a word of it. `tests/spec/test_schema.py` holds
that every key of every record stands here and that each example is accepted.
"""

from typing import Any, NamedTuple


class Key(NamedTuple):
    """What a key means, and a value that it may have."""

    words: str
    example: Any


def _normal(sd: float, why: str) -> dict[str, Any]:
    return {"dist": "normal", "mean": 0.0, "sd": sd, "why": why}


def _half_normal(sd: float, why: str) -> dict[str, Any]:
    return {"dist": "half_normal", "sd": sd, "why": why}


RATIOS = _normal(1.0, "hazard ratios from 1/7 to 7; no direction assumed")
STUDIES = _half_normal(0.5, "levels of studies apart by a factor of up to 2.7 (2 sd)")
REASON = "what is known, and from where"
ONE_STUDY = [{"study": "Lee 2020", "why": "the same patients as Lee 2022"}]

KEYS: dict[str, Key] = {
    "Spec.schema": Key("Version of this format", 1),
    "Spec.name": Key("Name of the analysis; by default that of its file", "os_surgery_vs_radiotherapy"),
    "Spec.question": Key(
        "The question in words, as the report prints it", "Survival after surgery against radiotherapy"
    ),
    "Spec.endpoint": Key("What is counted; rows of this endpoint alone are used", "os"),
    "Spec.time_unit": Key("Unit of every time of the spec, and of tables that name no other", "months"),
    "Spec.reference_time": Key("Time at which intercept and ratios are stated: near the median is best", 12.0),
    "Spec.level": Key("Level of every interval that is shown: tables, figures, report, page", 0.9),
    "Spec.horizon": Key("Where restricted means are cut and curves end; by default twice the reference time", 24.0),
    "Spec.times": Key(
        "Times of answers; by default half the reference time, itself and the horizon", [6.0, 12.0, 24.0]
    ),
    "Spec.seed": Key("Seed of all random numbers: equal seeds give equal answers", 20251),
    "Spec.measure": Key("Measure of survival that counts, where rows of the endpoint differ in it", "km"),
    "Spec.cause": Key("Which cause is the event, where patients have causes; `any`: the first of all", "local_failure"),
    "Spec.causes": Key(
        "Several causes in one model: what is another for each; `fit`, `run` and `audit` read such a spec",
        {"local_failure": {"endpoint": "local_control"}, "death": {"endpoint": "os"}},
    ),
    "Spec.joint": Key("What ties causes together", {"first_of_all": "pfs"}),
    "Cause.endpoint": Key("Endpoint of the printed rows of this cause; the common one by default", "local_control"),
    "Cause.after_others": Key(
        "Why this cause goes on after the others at the same hazard: survival printed for its endpoint is then exp(-H)",
        "deaths are counted whether or not a metastasis had grown back",
    ),
    "Cause.hazard": Key("Keys of `[hazard]` for this cause", {"family": "gompertz"}),
    "Cause.effects": Key("Keys of `[effects]` for this cause", {"study": {"sd": STUDIES}}),
    "Cause.priors": Key("Keys of `[priors]` for this cause", {"log_hr": RATIOS}),
    "Cause.covariates": Key(
        "Priors of the common covariates' coefficients for this cause",
        {"age": {"prior": _normal(0.2, REASON)}},
    ),
    "Cause.bias": Key("Keys of `[bias]` for this cause", {"single_arm": {"prior": RATIOS}}),
    "Cause.evidence": Key("Keys of `[evidence]` for this cause", {"exclude": ONE_STUDY}),
    "Joint.correlation": Key("Of a study's levels between causes", {"eta": 4.0, "why": REASON}),
    "Joint.first_of_all": Key("Endpoint whose printed survival ends with the first of all causes", "pfs"),
    "LevelCorrelation.value": Key("Correlation of every pair of causes, where it is stated; 0 is independent", 0.5),
    "LevelCorrelation.eta": Key("Exponent of the LKJ prior, det(R)^(eta - 1): 1 is uniform, larger is nearer 0", 4.0),
    "LevelCorrelation.why": Key("Reason, with its source", REASON),
    "Spec.cannot_say": Key(
        'Sentences that the report repeats under "what this cannot say"', ["No trial is among them."]
    ),
    "Spec.reproduction": Key("Label every output as a reproduction: the same patients twice", False),
    "Spec.evidence": Key("Where the tables are, and which of their rows count", {"patients": ["patients.csv"]}),
    "Spec.treatments": Key("What is compared with what", {"reference": "radiotherapy", "compare": ["surgery"]}),
    "Spec.hazard": Key("The baseline hazard", {"family": "weibull"}),
    "Spec.effects": Key(
        "What differs between studies; a table that is left out is an effect of zero", {"study": {"sd": STUDIES}}
    ),
    "Spec.waning": Key(
        "Time from which hazard ratios return to 1; absent: never", {"start": 24.0, "over": 12.0, "why": REASON}
    ),
    "Waning.start": Key("Time from which effects wane, where it is stated", 24.0),
    "Waning.prior": Key(
        "Prior of that time, where it is estimated", {"dist": "gamma", "shape": 9.0, "rate": 0.4, "why": REASON}
    ),
    "Waning.over": Key("Time within which effects wane to none, linearly on the log; 0: at once", 12.0),
    "Waning.why": Key("Reason, with its source", REASON),
    "Spec.priors": Key(
        "Priors of the parameters, each with its reason", {"intercept": _normal(1.0, REASON), "log_hr": RATIOS}
    ),
    "Spec.covariates": Key(
        "Covariates of patients by their column", {"age": {"prior": _normal(0.5, REASON), "scale": 10.0}}
    ),
    "Spec.integration": Key(
        "How arms that print means and shares alone are averaged over their patients", {"points": 256}
    ),
    "Spec.prognosis": Key(
        "How published ratios of covariates differ between studies", {"sd": _half_normal(0.25, REASON)}
    ),
    "Spec.bias": Key("Biases by name; one that is left out is off", {"lesions": {"value": 0.1}}),
    "Spec.meta_regression": Key(
        "Covariates of studies by name: how log hazards change with a column of the arms table",
        {"dose": {"column": "x_dose", "centre": 20.0, "scale": 5.0, "prior": _normal(0.3, REASON)}},
    ),
    "Spec.baseline": Key(
        "Level and shape of the population that answers are for, where study levels are free",
        {"intercept": _normal(0.3, REASON)},
    ),
    "Spec.sampling": Key("Draws, chains and sampler", {"draws": 1000, "chains": 4}),
    "Spec.sensitivity": Key("Named analyses: new values by dotted key", {"sceptical": {"priors.log_hr.sd": 0.35}}),
    "Spec.sensitivity_words": Key(
        "Named analyses in words, where the reasons of their values do not say it",
        {"sceptical": "a sceptic's prior"},
    ),
    "Spec.external_checks": Key(
        "Published numbers that are not used as evidence, printed beside the answer",
        [{"estimand": "median", "treatment": "surgery", "value": 14.7, "source": "Lee 2020"}],
    ),
    "Spec.population": Key(
        "Case mix of patients about whom the report answers together", {"share_kps70": 0.7, "mean_age": 61.0}
    ),
    "EvidenceSpec.patients": Key("Tables of patients: study, arm, treatment, time, event", ["patients.csv"]),
    "EvidenceSpec.arms": Key("Tables of arms: study, arm, treatment, endpoint, n", ["arms.csv"]),
    "EvidenceSpec.points": Key("Tables of survival at a time: study, arm, endpoint, time, survival", ["points.csv"]),
    "EvidenceSpec.medians": Key("Tables of medians: study, arm, endpoint, median", ["medians.csv"]),
    "EvidenceSpec.hazard_ratios": Key(
        "Tables of hazard ratios: study, endpoint, treatment, reference, hr", ["hazard_ratios.csv"]
    ),
    "EvidenceSpec.counts": Key("Tables of events of n: study, arm, endpoint, events, n", ["counts.csv"]),
    "EvidenceSpec.registry": Key(
        "Tables of a registry: of n alive at `start`, how many are `alive` at `stop`", ["registry.csv"]
    ),
    "EvidenceSpec.curves": Key(
        "Tables that name digitised curves: study, arm, treatment, endpoint, curve", ["curves.csv"]
    ),
    "EvidenceSpec.prognostic_ratios": Key("Tables of published ratios of covariates", ["prognostic_ratios.csv"]),
    "EvidenceSpec.background": Key("Table of the population's mortality: time, hazard", "background.csv"),
    "EvidenceSpec.include": Key(
        "Arms that are kept: a column of the tables and the values that are kept", {"use": ["use", "subgroup"]}
    ),
    "EvidenceSpec.also": Key("Studies or arms that are taken beside those that `include` keeps", ONE_STUDY),
    "EvidenceSpec.exclude": Key("Studies or arms that are left out", ONE_STUDY),
    "EvidenceSpec.allow_overlap": Key(
        "Studies whose hazard ratio counts beside the survival of both of its arms", ONE_STUDY
    ),
    "EvidenceSpec.effective_share": Key(
        "Share of the n patients that counts where a number has no interval", {"value": 0.8, "why": REASON}
    ),
    "EvidenceSpec.icc": Key(
        "Correlation of the lesions of one patient: 0 as good as patients, 1 no better than one",
        {"value": 0.3, "why": REASON},
    ),
    "EvidenceSpec.single_arm_weight": Key(
        "What a patient of a study with one treatment counts, at most 1", {"value": 0.5, "why": REASON}
    ),
    "Source.path": Key(
        "Path of a table, from the spec's folder; shipped:recurrent_bm is the package's table", "points.csv"
    ),
    "Source.time_unit": Key("Unit of the table's times, where it is not the spec's", "weeks"),
    "Treatments.reference": Key("Treatment that the others are compared with, as the tables call it", "radiotherapy"),
    "Treatments.compare": Key("Treatments that are compared with it", ["surgery"]),
    "Treatments.also_against": Key("Further treatments that answers are also given against", ["surgery"]),
    "Treatments.groups": Key(
        "Treatments of the tables that are analysed under one name", {"laser": ["litt", "litt_srt"]}
    ),
    "Treatments.classes": Key(
        "Classes of similar treatments by name, whose effects are drawn to each other",
        {"ablation": {"members": ["surgery", "laser"], "sd": _half_normal(0.2, REASON)}},
    ),
    "Treatments.labels": Key(
        "Names of treatments in words, for pages and figures; no part of the model", {"surgery": "second operation"}
    ),
    "TreatmentClass.members": Key("Treatments of the class; the reference is in none", ["surgery", "laser"]),
    "TreatmentClass.effects": Key(
        "exchangeable: effects vary about the class's effect; common: one effect for all", "exchangeable"
    ),
    "TreatmentClass.sd": Key(
        "Prior of the sd of effects in the class, where they are exchangeable", _half_normal(0.2, REASON)
    ),
    "Hazard.family": Key("Family of the hazard: its form over time", "weibull"),
    "Hazard.cure": Key("Whether a share of patients never has the event; needs priors.logit_cure", False),
    "Hazard.knots": Key("Number of inner knots of splines and pieces, or their times", 7),
    "Hazard.end": Key("Last knot of splines and pieces; by default the last event", 60.0),
    "Effects.study": Key("How studies differ in their level", {"sd": STUDIES}),
    "Effects.study_treatment": Key("How treatment effects differ between studies", {"sd": _half_normal(0.3, REASON)}),
    "Effects.study_shape": Key("How studies differ in the shape of the hazard", {"sd": _half_normal(0.2, REASON)}),
    "StudyLevel.exchangeable": Key("true: studies are a sample of one population; false: each has its own level", True),
    "StudyLevel.sd": Key("Prior of the standard deviation between studies", STUDIES),
    "StudyEffect.exchangeable": Key(
        "true: studies are a sample of one population; false: each has its own level", True
    ),
    "StudyEffect.sd": Key("Prior of the standard deviation between studies (of a Student t: of its scale)", STUDIES),
    "StudyEffect.dist": Key(
        "Distribution of studies about the average one: normal, or student_t with heavy tails", "student_t"
    ),
    "StudyEffect.df": Key("Degrees of freedom of a Student t", 4.0),
    "StudyTreatment.sd": Key(
        "Prior of the standard deviation of a contrast between studies", _half_normal(0.3, REASON)
    ),
    "Priors.intercept": Key(
        "Level: log cumulative hazard at the reference time", _normal(1.0, "S between 0.06 and 0.87")
    ),
    "Priors.log_hr": Key("Log hazard ratio of each treatment", RATIOS),
    "Priors.log_time_ratio": Key(
        "Log time ratio of each treatment, of accelerated-time families", _normal(1.0, REASON)
    ),
    "Priors.log_shape": Key("Log of the shape", _normal(0.3, "shapes from 0.55 to 1.8 (2 sd)")),
    "Priors.shape": Key(
        "The shape itself, where each study has its own", {"dist": "gamma", "shape": 4.0, "rate": 4.0, "why": REASON}
    ),
    "Priors.log_sd": Key("Log of the standard deviation of log time", _normal(0.3, REASON)),
    "Priors.q": Key("Second shape of a generalised gamma: 0 is log-normal, 1 Weibull", _normal(0.5, REASON)),
    "Priors.slope": Key("Slope of the log hazard of a Gompertz, per reference time", _normal(0.5, REASON)),
    "Priors.logit_constant": Key(
        "Logit of the share that the constant part of a Gompertz-Makeham has of H(t0)", _normal(1.5, REASON)
    ),
    "Priors.log_shape_ratio": Key(
        "Log of the late group's shape over the early group's, of a mixture of Weibulls", _normal(0.3, REASON)
    ),
    "Priors.log_gap": Key(
        "Log of the distance of the two groups' log times: exp(1) = 2.7 times as long at 0", _normal(0.5, REASON)
    ),
    "Priors.logit_early": Key("Logit of the share of patients in the early group", _normal(1.0, REASON)),
    "Priors.smooth_sd": Key(
        "Sd of the change of the log hazard over the follow-up, of splines and pieces", _half_normal(1.0, REASON)
    ),
    "Priors.treatment_smooth_sd": Key(
        "Sd of that change in what each treatment adds; absent: hazards are proportional", _half_normal(0.5, REASON)
    ),
    "Priors.logit_cure": Key("Logit of the share that never has the event", _normal(1.0, REASON)),
    "Priors.treatment_log_shape": Key(
        "Difference of treatments in log shape; absent: hazards are proportional", _normal(0.3, REASON)
    ),
    "Covariate.prior": Key("Prior of the coefficient, per scale of the covariate", _normal(0.5, REASON)),
    "Covariate.interaction": Key(
        "Prior of what a treatment adds to the coefficient; absent: nothing", _normal(0.3, REASON)
    ),
    "Covariate.interaction_by": Key("shared: all treatments add the same; treatment: each adds its own", "shared"),
    "Covariate.margin": Key("Distribution inside an arm that prints mean and sd", "normal"),
    "Covariate.missing": Key(
        "Distribution of the covariate where single patients lack it; absent: they are refused", "two_valued"
    ),
    "Covariate.kind": Key("Two values (0 and 1) or continuous; needed beside case_mix", "two_valued"),
    "Covariate.case_mix": Key(
        "Population of the arms' case mixes; with it arms are averaged over their patients",
        {"mean": _normal(0.8, REASON), "sd": _half_normal(0.7, REASON)},
    ),
    "Covariate.centre": Key("Value at which the intercept is stated; by default the patients' mean", 60.0),
    "Covariate.scale": Key("Units of the covariate that the coefficient is stated for", 10.0),
    "Covariate.unit": Key("Unit or coding, in words", "years"),
    "Covariate.label": Key("Name in words, for pages and figures", "performance status"),
    "Covariate.lower": Key("Smallest value that may be asked about", 18.0),
    "Covariate.upper": Key("Largest value that may be asked about", 90.0),
    "CaseMix.mean": Key(
        "Prior of the logit of the share (continuous: of the mean) in a typical arm", _normal(0.8, REASON)
    ),
    "CaseMix.sd": Key("Prior of the sd between arms, on the same scale", _half_normal(0.7, REASON)),
    "CaseMix.by_treatment": Key(
        "Prior of what the arms of a treatment differ by; absent: nothing", _normal(0.5, REASON)
    ),
    "CaseMix.by_named": Key(
        "Priors of that for single treatments, in place of by_treatment; all normal", {"surgery": _normal(0.5, REASON)}
    ),
    "CaseMix.within_sd": Key(
        "Prior of the sd inside an arm that prints none, of a continuous covariate", _half_normal(12.0, REASON)
    ),
    "Correlation.between": Key("Two covariates", ["age", "kps"]),
    "Correlation.value": Key("Their correlation in every arm", -0.3),
    "Correlation.why": Key("Reason, with its source", REASON),
    "Integration.points": Key("Number of quasi-random points, a power of 2", 256),
    "Integration.correlation": Key(
        "Correlations of covariates; by default those of the patients",
        [{"between": ["age", "kps"], "value": -0.3, "why": REASON}],
    ),
    "Integration.common_correlation": Key(
        "How covariates go together inside arms with case_mix; absent: not at all",
        {"value": 0.3, "why": REASON},
    ),
    "CommonCorrelation.value": Key("Correlation of any two covariates inside an arm (of their normal scores)", 0.3),
    "CommonCorrelation.turned": Key(
        "Covariates that go the other way: their zeros go with ones of the others", ["kps70"]
    ),
    "CommonCorrelation.why": Key("Reason, with its source", REASON),
    "Prognosis.sd": Key("Prior of the sd of published log ratios between studies", _half_normal(0.25, REASON)),
    "Prognosis.transport_sd": Key(
        "Prior of the sd that is added where the ratio is from another setting (external)", _half_normal(0.25, REASON)
    ),
    "Biases.single_arm": Key("Bias of series with one arm", {"prior": _normal(0.3, REASON)}),
    "Biases.small_study": Key("Bias of small series", {"prior": _normal(0.3, REASON)}),
    "Biases.year": Key("Change with the year of the study", {"prior": _normal(0.3, REASON), "centre": 2020.0}),
    "Biases.mixed_population": Key(
        "Difference of arms in which some patients have necrosis, by share_necrosis", {"prior": _normal(0.5, REASON)}
    ),
    "Biases.lesions": Key("Difference of arms that count lesions in place of patients", {"value": 0.1}),
    "Biases.immortal_time": Key(
        "Time that patients had to survive to be counted", {"treatments": ["surgery"], "value": 1.0}
    ),
    "Biases.clock_shift": Key(
        "Time by which the clock of an arm starts later than the model's", {"treatments": ["surgery"], "value": 1.0}
    ),
    "Bias.prior": Key("Prior of the bias, where its size is unknown", _normal(0.3, REASON)),
    "Bias.value": Key("Size of the bias, where it is stated", {"value": 1.0, "why": REASON}),
    "Bias.treatments": Key("Treatments on whose arms it acts", ["surgery"]),
    "Bias.acts_on": Key("Studies or arms on which it acts", ONE_STUDY),
    "Bias.centre": Key("Year, or share, of the study that answers are for", 2020.0),
    "StudyCovariate.column": Key("Column of the arms table; its cells are numbers or blank", "x_dose"),
    "StudyCovariate.scale": Key("Units of the column that the coefficient is stated for", 5.0),
    "StudyCovariate.centre": Key("Value of the column in the study that answers are for", 20.0),
    "StudyCovariate.prior": Key("Prior of the coefficient, per scale of the column", _normal(0.3, REASON)),
    "StudyCovariate.value": Key("The coefficient, where it is stated", {"value": 0.1, "why": REASON}),
    "StudyCovariate.treatments": Key(
        "Treatments whose effect changes with it; absent: the level of all changes", ["surgery"]
    ),
    "StudyCovariate.acts_on": Key("Studies or arms on which alone it acts", ONE_STUDY),
    "Baseline.intercept": Key("Level of the reference treatment in that population", _normal(0.3, REASON)),
    "Baseline.log_shape": Key("Log shape of the reference treatment in that population", _normal(0.2, REASON)),
    "Sampling.draws": Key("Draws of each chain that are kept", 1000),
    "Sampling.tune": Key("Draws of each chain before those, for warming up", 1000),
    "Sampling.chains": Key("Number of independent chains", 4),
    "Sampling.thin": Key("Steps of the sampler for one draw", 2),
    "Sampling.cores": Key("Number of chains side by side; by default as many as there are cores", 2),
    "Sampling.target_accept": Key("Target acceptance: a higher one means smaller steps and fewer divergences", 0.95),
    "Sampling.sampler": Key("Program that samples", "nutpie"),
    "Sampling.centring": Key(
        "Coordinates of study effects: all or none centred; by default as their patients ask for", "none"
    ),
    "ExternalCheck.estimand": Key("What was published", "median"),
    "ExternalCheck.treatment": Key("Treatment that the number is about", "surgery"),
    "ExternalCheck.reference": Key("Treatment that it was compared with", "radiotherapy"),
    "ExternalCheck.time": Key("Time that the number is about", 12.0),
    "ExternalCheck.value": Key("The published number", 14.7),
    "ExternalCheck.ci_low": Key("Lower end of its 95 % interval", 10.5),
    "ExternalCheck.ci_high": Key("Upper end of its 95 % interval", 19.0),
    "ExternalCheck.source": Key("Where it was published", "Lee 2020, doi 10.1000/1"),
    "ExternalCheck.note": Key("Something that a reader must know of the number", "not adjusted"),
    "ExternalCheck.patient": Key("Covariates of the patients that the number is about", {"kps70": 1.0}),
    "Choice.study": Key("Study, as the tables call it", "Lee 2020"),
    "Choice.arm": Key("One arm of it; by default all", "surgery"),
    "Choice.why": Key("Reason", "the same patients as Lee 2022"),
    "Reasoned.value": Key("The number", 0.8),
    "Reasoned.why": Key("Reason, with its source", REASON),
    "Normal.mean": Key("Mean", 0.0),
    "Normal.sd": Key("Standard deviation", 1.0),
    "HalfNormal.sd": Key("Standard deviation of the normal that is folded at 0", 0.5),
    "StudentT.df": Key("Degrees of freedom", 4.0),
    "StudentT.mean": Key("Centre", 0.0),
    "StudentT.sd": Key("Scale", 1.0),
    "HalfStudentT.df": Key("Degrees of freedom", 4.0),
    "HalfStudentT.sd": Key("Scale", 0.5),
    "Exponential.rate": Key("Rate: one over the mean", 2.0),
    "Gamma.shape": Key("Shape", 4.0),
    "Gamma.rate": Key("Rate: shape over the mean", 4.0),
    "LogNormal.mean": Key("Mean of the logarithm", 0.0),
    "LogNormal.sd": Key("Standard deviation of the logarithm", 0.5),
    "Uniform.lower": Key("Smallest value", 0.0),
    "Uniform.upper": Key("Largest value", 1.0),
}
for _record, _dist in {
    "Normal": "normal",
    "HalfNormal": "half_normal",
    "StudentT": "student_t",
    "HalfStudentT": "half_student_t",
    "Exponential": "exponential",
    "Gamma": "gamma",
    "LogNormal": "log_normal",
    "Uniform": "uniform",
}.items():
    KEYS[f"{_record}.dist"] = Key("Kind of distribution", _dist)
    KEYS[f"{_record}.why"] = Key("Reason for this prior, with its source", REASON)
