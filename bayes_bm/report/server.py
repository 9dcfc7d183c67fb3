"""The patient page on the loopback address: one page, the numbers of `predict`, nothing stored."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from bayes_bm.estimands.tabulated_patients import PatientDraws, TabulatedPatients, tabulate_patients
from bayes_bm.estimands.who import WHO, StudyEffects, parse_who
from bayes_bm.inference.result import Result
from bayes_bm.model.covariates.case_mix import checked
from bayes_bm.report.loopback import LoopbackHandler, LoopbackServer, loopback_server
from bayes_bm.report.patient.answer import answer_document, single_heads
from bayes_bm.report.patient.controls import covariate_controls, round_step
from bayes_bm.report.patient.facts import Facts, page_facts
from bayes_bm.report.patient.question import read_question
from bayes_bm.report.templating import render_template
from bayes_bm.report.text import counted, labelled, treatment_text
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.document import Spec
from bayes_bm.spec.endpoints import event_words

MOST_VALUES = 8000
"""Draws times treatments that answer on the page: a table of so many is made in about four seconds and read in a tenth
of one. `predict` uses all draws."""
KEPT_PATIENTS = 32
"""Patients whose draws are kept, so that a change of treatment, time or margin works out nothing anew."""
WHO_WORDS = {
    "new-study": "studies (their population)",
    "new-hospital": "nothing: one new hospital",
    "average-study": "nothing: the average study",
}


@dataclass(frozen=True)
class PatientPage:
    """What the page is sent: the `page` itself once, `answer` for each question; nothing of them is stored on disk."""

    result: Result
    _tables: dict[str, TabulatedPatients] = field(default_factory=dict[str, TabulatedPatients], repr=False)
    _far: dict[str, list[Mapping[str, float]]] = field(default_factory=dict[str, list[Mapping[str, float]]], repr=False)
    _drawn: dict[tuple[Any, ...], PatientDraws] = field(default_factory=dict[tuple[Any, ...], PatientDraws], repr=False)
    _ready: threading.Event = field(default_factory=threading.Event, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        if self.result.spec.needs_baseline:
            raise InputError(
                "serve",
                found="a spec with free study levels or shapes and no [baseline]",
                allowed="exchangeable effects, or a baseline",
                hint="without a level there is no survival to show (docs/decisions.md, 11)",
            )

    @property
    def spec(self) -> Spec:
        """Return the spec of the result."""
        return self.result.spec

    @cached_property
    def thin(self) -> Result:
        """Return the result with the draws that answer on the page: all of them, unless there are many treatments."""
        return self.result.thinned(MOST_VALUES // len(self.result.spec.treatments.names))

    @cached_property
    def facts(self) -> Facts:
        """Return what the numbers rest on, of all draws."""
        return page_facts(self.result)

    @labelled
    def about(self) -> dict[str, Any]:
        """Return covariates with their controls, treatments, times, and what is asked."""
        spec, gate = self.result.spec, self.result.gate
        studies = counted(len(set(self.result.evidence.arms["study"])), "study")
        words = f"{event_words(spec.endpoint)[1]}; {studies} with arms; {self._draws_words()}"
        return {
            "question": spec.question,
            "ready": self.ready,
            "about": words,
            "gate": "" if gate.passed else f"THE CONVERGENCE GATE FAILED: {'; '.join(gate.reasons)}.",
            "name": spec.name,
            "time_unit": spec.time_unit,
            "horizon": spec.horizon,
            "time": spec.reference_time if spec.reference_time <= spec.horizon else spec.answer_times[0],
            "time_step": round_step(spec.horizon / 48),
            "level": spec.interval.words,
            "covariates": [asdict(control) for control in covariate_controls(self.result)],
            "treatments": [{"name": name, "label": treatment_text(name)} for name in spec.treatments.names],
            "who": [{"name": name, "label": label} for name, label in WHO_WORDS.items() if name in WHO],
            "single_heads": single_heads(self.result),
        }

    @property
    def ready(self) -> bool:
        """Return whether the next answer waits for nothing that all answers need."""
        return self._ready.is_set()

    def _draws_words(self) -> str:
        whole, used = (one.posterior.sizes["chain"] * one.posterior.sizes["draw"] for one in (self.result, self.thin))
        of_all = "" if used == whole else f" of {whole:,}, thinned for speed"
        return f"{used:,} draws{of_all}"

    def page(self) -> bytes:
        """Return the page with the controls of this result; texts of a spec are escaped."""
        return render_template("page.html.jinja", about=self.about()).encode()

    def warm(self) -> None:
        """Work out what every answer needs, so that the first is not slower than the others."""
        spec = self.result.spec
        self.answer({"treatments": list(spec.treatments.names), "time": spec.horizon})

    @labelled
    def answer(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Return words, counts, curves, tables and files for one patient or two.

        Raises `InputError` for what cannot be answered.
        """
        asked = read_question(question)
        who, spec = parse_who(asked.who), self.result.spec
        with self._lock:
            began = time.perf_counter()
            patients = [checked(spec, patient) for patient in asked.patients]
            drawn = [self._patient_draws(who, patient) for patient in patients]
            document = answer_document(self.thin, self.facts, asked, drawn)
            self._ready.set()
            return {**document, "milliseconds": round(1000 * (time.perf_counter() - began))}

    def _patient_draws(self, who: StudyEffects, patient: Mapping[str, float]) -> PatientDraws:
        """Return the draws of a patient: kept from before, or read off the table, which is made where need be."""
        key = (who.name, *sorted(patient.items()))
        kept = self._drawn.pop(key, None)
        if kept is None:
            if who.name not in self._tables:
                self._tables[who.name] = tabulate_patients(self.thin, who)
            kept = self._tables[who.name].patient(patient)
            if kept is None:
                # beyond everybody in the evidence, of a covariate without limits; the new table keeps others like it
                self._far[who.name] = [*self._far.get(who.name, []), patient]
                self._tables[who.name] = tabulate_patients(self.thin, who, self._far[who.name])
                kept = self._tables[who.name].patient(patient)
        assert kept is not None
        self._drawn[key] = kept
        while len(self._drawn) > KEPT_PATIENTS:
            self._drawn.pop(next(iter(self._drawn)))
        return kept


def server(page: PatientPage, port: int = 0) -> LoopbackServer:
    """Return a server on the loopback address, not yet running; port 0 takes a free one."""

    class Handler(LoopbackHandler):
        template = "page.html.jinja"

        def page(self) -> bytes:
            return page.page()

        def about(self) -> dict[str, Any]:
            return page.about()

        def questions(self) -> Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]]:
            return {"/answer": page.answer}

    return loopback_server(Handler, port)
