"""The patient page by HTTP: the numbers of `predict`, errors in words, and nobody but this machine."""

import contextlib
import io
import json
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.client import HTTPConnection
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from bayes_bm.estimands.predict import predict
from bayes_bm.estimands.quantities import survival
from bayes_bm.estimands.who import Patient
from bayes_bm.report import loopback
from bayes_bm.report.server import PatientPage, server
from bayes_bm.runtime.errors import InputError
from tests.builders import posteriors, worlds
from tests.builders.patients import made

QUESTION = {
    "patients": [{"age": "95"}],
    "treatments": ["a", "b"],
    "alive_at": "2",
    "time": "12",
    "who": "new-study",
    "margin_rmst": "1",
    "margin_survival": "5",
}


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    running = server(PatientPage(made(draws=20)))
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    assert running.server_address[0] == "127.0.0.1"
    yield running.server_address[1]
    running.shutdown()
    running.server_close()


def ask(port: int, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, Any]:
    """Status, document (or text), headers."""
    connection = HTTPConnection("127.0.0.1", port, timeout=120)
    given = {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    connection.request(method, path, None if body is None else json.dumps(body), given)
    reply = connection.getresponse()
    text = reply.read().decode()
    connection.close()
    return reply.status, json.loads(text) if reply.headers.get_content_type() == "application/json" else text, reply


def question(**changes: Any) -> dict[str, Any]:
    return {**QUESTION, **changes}


def test_the_page_needs_nothing_else(port) -> None:
    status, text, reply = ask(port, "GET", "/")
    assert status == 200
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "https://" not in text
    assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
    assert ask(port, "GET", "/about?x")[0] == ask(port, "GET", "/etc/passwd")[0] == 404


def test_it_asks_for_covariates_in_words_with_units_and_the_evidence(port) -> None:
    status, about, _ = ask(port, "GET", "/about")
    assert status == 200
    age, good = about["covariates"]
    assert (age["label"], age["unit"], age["least"], age["most"], age["step"]) == ("age", "years", 18.0, 110.0, 1.0)
    assert (age["low"], age["high"], age["covered"], age["choices"]) == (40.0, 80.0, "40 to 80", [])
    assert [(choice["value"], choice["words"]) for choice in good["choices"]] == [("0", "no"), ("1", "yes")]
    assert [treatment["name"] for treatment in about["treatments"]] == ["a", "b"]
    _, text, _ = ask(port, "GET", "/")
    assert '<input type="radio" name="a-good" value="1"><span>yes</span>' in text
    assert "The evidence covers 40 to 80 years." in text


def test_words_of_a_spec_are_choices_and_nothing_of_it_is_markup() -> None:
    result = made()
    unit, label = "0 = <i>poor</i>, 1 = good & well", "state </script><b>"
    good = result.spec.covariates["good"].model_copy(update={"unit": unit, "label": label})
    covariates = {**result.spec.covariates, "good": good}
    spec = result.spec.model_copy(update={"covariates": covariates, "question": "A < B?"})
    text = PatientPage(replace(result, spec=spec)).page().decode()
    assert "<span>&lt;i&gt;poor&lt;/i&gt;</span>" in text and "<span>good &amp; well</span>" in text
    assert "<title>A &lt; B?</title>" in text
    assert "<i>" not in text and "</script><b>" not in text


@pytest.mark.slow
def test_a_covariate_of_zeros_and_ones_is_a_choice_though_no_limits_are_stated() -> None:
    result = made()
    good = result.spec.covariates["good"].model_copy(update={"lower": None, "upper": None, "unit": ""})
    spec = result.spec.model_copy(update={"covariates": {**result.spec.covariates, "good": good}})
    page = PatientPage(replace(result, spec=spec))
    assert [choice["words"] for choice in page.about()["covariates"][1]["choices"]] == ["no", "yes"]
    assert "good: yes" in page.answer(question(patients=[{"good": "1"}], alive_at="0"))["letter"]


def expected(covariates: dict[str, float], **asked: Any) -> pd.DataFrame:
    margins = {"rmst": 1.0, "survival": 0.05}
    return predict(made(draws=20), covariates, times=[12.0], alive_at=2.0, margins=margins, **asked)


def row_of(table: pd.DataFrame, estimand: str, treatment: str) -> dict[Any, Any]:
    return table[(table["estimand"] == estimand) & (table["treatment"] == treatment)].iloc[0].to_dict()


def csv_rows(answer: dict[str, Any], patient: str = "A") -> pd.DataFrame:
    table = pd.read_csv(io.StringIO(answer["csv"]))
    return table[(table["patient"] == patient) & (table["time"].isna() | table["time"].isin([12.0, 24.0]))]


@pytest.mark.parametrize("covariates", [{"age": 95.0}, {"age": 95.0, "good": 1.0}, {}])
@pytest.mark.parametrize("who", ["new-study", "new-hospital", "average-study"])
def test_answers_are_those_of_predict(port, covariates: dict[str, float], who: str) -> None:
    status, answer, _ = ask(port, "POST", "/answer", question(patients=[covariates], who=who))
    assert status == 200
    table, told = expected(covariates, who=who), csv_rows(answer)
    for row in table[~table["estimand"].eq("median_difference")].to_dict("records"):
        near = 0.002 if "rmst" in row["estimand"] or row["estimand"] == "median" else 1e-4
        shown = told[(told["estimand"] == row["estimand"]) & (told["treatment"] == row["treatment"])]
        shown = shown[shown["time"].eq(row["time"]) | pd.isna(row["time"])].iloc[0]
        for name in ("mean", "sd", "median", "q2_5", "q97_5", "prob_better", "margin", "prob_better_by_margin"):
            # one draw of forty may stand on the other side of zero or of a margin
            reach = 0.026 if name.startswith("prob") else near * (abs(row[name]) if row["estimand"] == "median" else 1)
            assert shown[name] == pytest.approx(row[name], abs=reach, nan_ok=True), (row["estimand"], name)
        marks = [mark for mark in str(row["label"]).split("; ") if not mark.startswith(("prior only:", "beyond"))]
        assert [mark for mark in str(shown["label"]).split("; ") if mark != "nan"] == [mark for mark in marks if mark]


def test_what_is_said_drawn_and_handed_out_are_the_same_numbers(port) -> None:
    _, answer, _ = ask(port, "POST", "/answer", question())
    table = expected({"age": 95.0})
    alive = row_of(table, "survival", "b")
    counts = tuple(round(100 * alive[name]) for name in ("median", "q2_5", "q97_5"))
    shown = answer["patients"][0]["treatments"][1]
    assert (shown["alive"], shown["low"], shown["high"]) == counts
    assert f"{counts[0]} with b ({counts[1]} to {counts[2]})" in answer["headline"][0]
    assert f"{counts[0]} with b ({counts[1]} to {counts[2]})" in answer["letter"]
    curve = shown["curve"]
    assert np.interp(12.0, curve["time"], curve["median"]) == pytest.approx(alive["median"], abs=2e-3)
    gain = row_of(table, "rmst_difference", "b")
    assert f"{abs(gain['median']):.1f} months" in answer["headline"][0]
    assert f"probability that it is longer: {gain['prob_better']:.2f}" in answer["headline"][0]
    [line] = [line for line in answer["differences"]["rows"] if line[1] == "mean months until 24 months"]
    assert line[3:5] == [f"{gain['prob_better']:.2f}", f"{gain['prob_better_by_margin']:.2f} (1 month)"]


def test_what_the_numbers_rest_on_is_said_once(port) -> None:
    _, answer, _ = ask(port, "POST", "/answer", question(patients=[{"age": "95"}, {"good": "1"}]))
    basis = answer["basis"]
    assert basis["head"] == ["effect", "patient A", "patient B", "rests on", "beware"]
    rows = {row[0]: row[1:] for row in basis["rows"]}
    assert set(rows) == {"a", "b", "age", "good"}
    assert rows["age"][:2] == ["95 years", "not known"] and "beyond the evidence" in rows["age"][3]
    assert rows["good"][1] == "yes" and "6 patients of 1 study (within-study data)" in rows["good"][2]
    assert "no side-by-side study" in rows["b"][2]
    assert " ".join(answer["notes"]).count("averaged over the evidence's patients") == 1
    assert "recommends no treatment" in answer["letter"] and "No study held b beside a" in answer["letter"]


def test_two_patients_are_compared_draw_by_draw(port) -> None:
    patients = [{"age": "50"}, {"age": "70"}]
    _, answer, _ = ask(port, "POST", "/answer", question(patients=patients, alive_at="0"))
    older, younger = (
        survival(made(draws=20), [12.0], who=Patient({"age": age})).sel(treatment="b").to_numpy().ravel()
        for age in (70.0, 50.0)
    )
    table = pd.read_csv(io.StringIO(answer["csv"]))
    between = table[(table["patient"] == "B minus A") & (table["time"] == 12.0) & (table["treatment"] == "b")].iloc[0]
    assert between["median"] == pytest.approx(np.median(older - younger), abs=2e-4)
    assert between["prob_better"] == np.mean(older > younger)
    assert table["given"].dropna().unique().tolist() == ["age=50", "age=70"]


def test_a_treatment_left_out_is_nowhere(port) -> None:
    _, answer, _ = ask(port, "POST", "/answer", question(treatments=["a"]))
    assert {line[0] for line in answer["numbers"]["rows"]} == {"a"}
    assert answer["differences"]["rows"] == []
    # where the reference cannot be had, the others are compared with the first of them
    _, answer, _ = ask(port, "POST", "/answer", question(treatments=["b"]))
    assert {line[0] for line in answer["numbers"]["rows"]} == {"b"}


def test_many_treatments_are_thinned_and_that_is_said(monkeypatch) -> None:
    monkeypatch.setattr("bayes_bm.report.server.MOST_VALUES", 20)
    page = PatientPage(made(draws=20))
    assert page.thin.posterior.sizes["draw"] * page.thin.posterior.sizes["chain"] == 10
    assert page.about()["about"].endswith("10 draws of 40, thinned for speed")


@pytest.mark.slow
def test_what_did_not_change_is_not_worked_out_again(monkeypatch) -> None:
    page = PatientPage(made(draws=20))
    page.answer(question())
    monkeypatch.setattr("bayes_bm.report.server.TabulatedPatients.patient", None)
    monkeypatch.setattr("bayes_bm.report.server.tabulate_patients", None)
    assert page.answer(question(time="6", treatments=["b"]))["time"] == 6.0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"patients": [{"age": "5"}]}, "patient, age: found 5.0; allowed: 18 to 110 years"),
        ({"patients": [{"age": "old"}]}, "patient, age: found old; allowed: a number"),
        ({"patients": [{"weight": "70"}]}, "patient, weight: found an unknown covariate"),
        ({"patients": [{}, {}, {}]}, "patients: found 3 of them; allowed: up to 2"),
        ({"patients": ["age"]}, "patients: found age; allowed: names and numbers of each"),
        ({"treatments": []}, "treatments: found none; allowed: at least one"),
        ({"treatments": ["z"]}, "treatment: found z; allowed: a, b"),
        ({"time": "1"}, "times: found 1; allowed: at or after alive_at = 2"),
        ({"time": "soon"}, "time: found soon; allowed: a number"),
        ({"time": ""}, "time: found ; allowed: a number"),
        ({"alive_at": "-1"}, "alive_at: found -1.0; allowed: a time, 0 or more"),
        ({"who": "everybody"}, "--who: found everybody"),
        ({"margin_survival": "500"}, "survival is a proportion"),
    ],
)
def test_what_cannot_be_answered_is_said_in_words(port, changes: dict[str, Any], said: str) -> None:
    status, answer, _ = ask(port, "POST", "/answer", question(**changes))
    assert status == 400
    assert said in answer["error"]
    assert "Traceback" not in answer["error"]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "localhost.evil.example"])
def test_other_names_for_this_machine_are_refused(port, host: str) -> None:
    for method, path in (("GET", "/"), ("GET", "/about"), ("POST", "/answer")):
        status, answer, _ = ask(port, method, path, question(), Host=host)
        assert status == 403
        assert "only" in answer["error"]
    assert ask(port, "GET", "/about", Host=f"localhost:{port}")[0] == 200


def test_forms_of_other_sites_are_refused(port) -> None:
    status, answer, _ = ask(port, "POST", "/answer", question(), Content_Type="text/plain")
    assert (status, answer["error"]) == (400, "question: found text/plain; allowed: application/json")
    assert ask(port, "POST", "/answer", [1])[0] == 400
    assert ask(port, "POST", "/answer", {"x": "y" * 200_000})[0] == 400


def test_what_has_no_level_is_refused_before_it_starts() -> None:
    spec = worlds.spec(effects={"study": {"exchangeable": False}})
    with pytest.raises(InputError, match="serve: found a spec with free study levels"):
        PatientPage(posteriors.result(spec, worlds.evidence(spec)))
    with pytest.raises(InputError, match="--port: found 99999; allowed: 0 to 65535"):
        server(PatientPage(made()), 99999)


# ------------------------------------------------------------------------------------------------ real sockets

SHORT = 0.5
"""Seconds that clients have in these tests."""


def sent(port: int, data: bytes) -> bytes:
    """What comes back for raw bytes until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(data)
        return b"".join(iter(lambda: client.recv(65536), b""))


def raw(port: int, *headers: str, body: bytes = b"{}") -> bytes:
    lines = ["POST /answer HTTP/1.0", f"Host: 127.0.0.1:{port}", "Content-Type: application/json", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    "headers",
    [
        ("Content-Length: \xb2",),
        (f"Content-Length: {'9' * 5000}",),
        ("Content-Length: -1",),
        ("Content-Length: +2",),
        ("Content-Length: 1_0",),
        ("Content-Length: 2", "Content-Length: 3"),
        (),
        ("Transfer-Encoding: chunked",),
    ],
)
def test_a_length_is_plain_digits_said_once(port, headers: tuple[str, ...]) -> None:
    """Before, 500 for a superscript two and for 5,000 digits."""
    reply = sent(port, raw(port, *headers))
    assert reply.startswith(b"HTTP/1.0 400 ")
    assert b"Content-Length: up to 100000" in reply


@pytest.mark.parametrize("body", [b"[" * 90_000, b'{"a":' * 15_000, b"\xff\xfe", b"", b"9" * 90_000])
def test_what_is_no_json_is_refused(port, body: bytes) -> None:
    """Before, 500 for deep nesting."""
    reply = sent(port, raw(port, f"Content-Length: {len(body)}", body=body))
    assert reply.startswith(b"HTTP/1.0 400 ")
    assert b"found no JSON" in reply


def test_two_hosts_are_refused(port) -> None:
    reply = sent(port, raw(port, "Host: evil.example", "Content-Length: 2"))
    assert reply.startswith(b"HTTP/1.0 403 ")


@pytest.mark.parametrize("number", ["nan", "1e999", "-inf"])
def test_numbers_are_finite(port, number: str) -> None:
    assert ask(port, "POST", "/answer", question(patients=[{"age": number}]))[0] == 400
    assert ask(port, "POST", "/answer", question(alive_at=number))[0] == 400


def test_a_hundred_treatments_are_the_most(port) -> None:
    began = time.perf_counter()
    assert ask(port, "POST", "/answer", question(treatments=["a"] * 101))[0] == 400
    assert time.perf_counter() - began < 1


@pytest.mark.slow
def test_a_slow_client_is_not_waited_for(port, monkeypatch) -> None:
    """Neither one that says nothing nor one that sends a byte now and then."""
    monkeypatch.setattr(loopback, "ASKED_WITHIN", SHORT)
    began = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port), timeout=5) as silent:
        assert silent.recv(100) == b""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as dripping:
        dripping.sendall(raw(port, "Content-Length: 1000"))
        for _ in range(30):
            with contextlib.suppress(OSError):
                dripping.sendall(b" ")
            time.sleep(SHORT / 10)
        assert dripping.recv(100).startswith(b"HTTP/1.0 408 ")
    assert time.perf_counter() - began < 5


class _SlowPage:
    """A page whose answers take a while."""

    def about(self) -> dict[str, Any]:
        return {}

    def page(self) -> bytes:
        return b""

    def answer(self, question: Any) -> dict[str, Any]:
        time.sleep(0.05)
        return {"who": question["who"]}


@pytest.mark.slow
def test_two_hundred_questions_at_once_are_answered_or_refused_in_time() -> None:
    """Before, 93 of them were answered in 170 seconds, and the others' connections dropped."""
    running = server(cast(Any, _SlowPage()))
    threading.Thread(target=running.serve_forever, daemon=True).start()
    port = running.server_address[1]
    began = time.perf_counter()
    with ThreadPoolExecutor(200) as clients:
        replies = list(clients.map(lambda number: ask(port, "POST", "/answer", {"who": number}), range(200)))
    assert time.perf_counter() - began < 15
    running.shutdown()
    running.server_close()
    statuses = Counter(status for status, _, _ in replies)
    assert set(statuses) == {200, 503} and statuses[200] >= loopback.WAITING + 1
    assert all(answer == {"who": number} for number, (status, answer, _) in enumerate(replies) if status == 200)
    assert {reply.headers["Retry-After"] for status, _, reply in replies if status == 503} == {"5"}


def test_a_client_that_leaves_prints_nothing(capfd) -> None:
    """Before, a traceback on standard error: BrokenPipeError, or a reset connection."""
    running = server(cast(Any, _SlowPage()))
    threading.Thread(target=running.serve_forever, daemon=True).start()
    port = running.server_address[1]
    body = json.dumps({"who": "x" * 50_000}).encode()
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.sendall(raw(port, f"Content-Length: {len(body)}", body=body))
    assert ask(port, "POST", "/answer", {"who": "after"})[0] == 200
    running.shutdown()
    running.server_close()
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_ctrl_c_ends_it_at_once_with_a_connection_open(tmp_path) -> None:
    """Before, four seconds."""
    made(draws=20).save(tmp_path / "r.nc")
    command = [sys.executable, "-m", "bayes_bm", "serve", str(tmp_path / "r.nc")]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    port = int(running.stderr.readline().split("/")[2].split(":")[1])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(b"POST /answer HTTP/1.0\r\n")
        time.sleep(0.2)
        began = time.perf_counter()
        running.send_signal(signal.SIGINT)
        running.wait(timeout=10)
        assert time.perf_counter() - began < 1
    assert running.returncode == 0
    assert running.stderr.read() == "ended\n"
