"""Rules between tables: arms behind rows, overlaps, agreement of treatments."""

from collections.abc import Mapping

import pandas as pd

from bayes_bm.evidence.tables.cells import TableRows, is_blank
from bayes_bm.evidence.tables.row_rules import check_unique
from bayes_bm.evidence.tables.schema import KEYS, nearest_name
from bayes_bm.evidence.tables.vocabulary import SHIPPED_VOCABULARY, Vocabulary
from bayes_bm.runtime.errors import InputError


def check_vocabulary(frame: pd.DataFrame, *, where: str, vocabulary: Vocabulary = SHIPPED_VOCABULARY) -> None:
    """Endpoints, treatments and use flags are the shipped ones (shipped tables only).

    Covariate hazard ratios are material for priors: of them only the flag is checked, since their endpoint may be one
    that is never modelled (`cns_death`).
    """
    names = {"endpoint": vocabulary.endpoints, "treatment": vocabulary.treatments, "reference": vocabulary.treatments}
    listed = {"use": vocabulary.uses} if "covariate" in frame else {**names, "use": vocabulary.uses}
    for column, allowed in listed.items():
        for row, value in enumerate(frame[column].tolist() if column in frame.columns else []):
            if not is_blank(value) and value not in allowed:
                hint = nearest_name(str(value), allowed)
                raise TableRows(where).refuse(row, column, cell=value, allowed=", ".join(allowed), hint=hint)


def check_links(tables: Mapping[str, pd.DataFrame]) -> None:
    """Rows of medians, points, counts and registries stand beside an arms row with the same study, arm and endpoint.

    `tables` maps kind to a checked frame (of several files, perhaps: keys are checked again over all of them). Also:
    a study's arm has one treatment wherever it is named, and a median that was not reached has its lower limit or the
    arm's `followup`.
    """
    for kind in tables:
        check_unique(kind, tables[kind], _source(tables, kind))
    arms = tables.get("arms")
    key = KEYS["arms"]
    arm_rows = {of_arm: row for row, of_arm in enumerate(_keys_in(arms, key))}
    for kind in ("medians", "points", "counts", "registry"):
        for row, value in enumerate(_keys_in(tables.get(kind), key)):
            if value not in arm_rows:
                hint = nearest_name(" | ".join(value), [" | ".join(k) for k in arm_rows]) or "give an arms table too"
                allowed = "a row of the arms table with the same study, arm and endpoint (it gives the treatment)"
                raise _source(tables, kind).refuse(row, "arm", cell=" | ".join(value), allowed=allowed, hint=hint)
    _check_not_reached(tables, arm_rows)
    _check_treatments_agree(tables)


def _keys_in(frame: pd.DataFrame | None, key: list[str]) -> list[tuple]:
    return [] if frame is None else list(zip(*(frame[name] for name in key), strict=True))


def _source(tables: Mapping[str, pd.DataFrame], kind: str) -> TableRows:
    return TableRows(str(tables[kind].attrs.get("where", kind)))


def _check_not_reached(tables: Mapping[str, pd.DataFrame], arm_rows: Mapping[tuple, int]) -> None:
    medians = tables.get("medians")
    if medians is None or medians["median"].notna().all():
        return
    for row, value in enumerate(_keys_in(medians, KEYS["arms"])):
        median = medians.iloc[row]
        if (
            pd.isna(median["median"])
            and pd.isna(median["ci_low"])
            and pd.isna(tables["arms"].followup[arm_rows[value]])
        ):
            raise _source(tables, "medians").refuse(
                row,
                "median",
                cell=None,
                allowed="a median, or ci_low, or a followup in the arms row",
                hint="a median that was not reached says something only with a time up to which it was not",
            )


def _check_treatments_agree(tables: Mapping[str, pd.DataFrame]) -> None:
    said: dict[tuple, tuple[str, str]] = {}
    for kind in ("arms", "curves", "patients"):
        frame = tables.get(kind)
        if frame is None:
            continue
        names = (frame.index, frame["study"], frame["arm"], frame["treatment"])
        for row, study, arm, treatment in zip(*names, strict=True):
            first, place = said.setdefault((study, arm), (treatment, kind))
            if treatment != first:
                allowed = f"{first!r}, as in {place} for study {study!r}, arm {arm!r}"
                hint = "an arm has one treatment"
                raise _source(tables, kind).refuse(row, "treatment", cell=treatment, allowed=allowed, hint=hint)


def counted_twice(place: str, named: str) -> InputError:
    """Return the refusal of two rows that `overlapping_rows` gives."""
    return InputError(
        place,
        found=f"patients counted twice, in {named}",
        allowed="one member of a group, or a parent or its subgroups",
        hint="leave the others out with [evidence] include or exclude",
    )


def overlapping_rows(arms: pd.DataFrame) -> list[tuple[int, int]]:
    """Pairs of arms rows (positions) that count the same patients: same overlap group and endpoint, and not disjoint.

    In a group, at most one member, or a parent or its subgroups. `x_overlap_role` (parent, subgroup, member) is taken
    from the use flag where it is absent (`subgroup` or else member). Subgroups are disjoint unless one descends
    from the other by `x_overlap_parent` (a chain of arm names), or they split one parent in two ways
    (`x_overlap_split`).
    """
    if arms["overlap_group"].isna().all():
        return []
    grouped = arms.reset_index(drop=True).dropna(subset=["overlap_group"]).groupby(["overlap_group", "endpoint"])
    return sorted(pair for _, rows in grouped for pair in _overlaps_in(rows))


def _overlaps_in(rows: pd.DataFrame) -> list[tuple[int, int]]:
    cards = [
        (position, _cell(row, "arm"), _role(row), _cell(row, "x_overlap_parent"), _cell(row, "x_overlap_split"))
        for position, row in zip(rows.index, rows.itertuples(), strict=True)
    ]
    parents = {card[1]: card[3] for card in cards}
    pairs = [(a, b) for i, a in enumerate(cards) for b in cards[i + 1 :]]
    return [(a[0], b[0]) for a, b in pairs if not _disjoint(a, b, parents)]


def _cell(row: object, name: str) -> str | None:
    value = getattr(row, name, None)
    return None if is_blank(value) else str(value)


def _role(row: object) -> str:
    default = "subgroup" if _cell(row, "use") == "subgroup" else "member"
    return _cell(row, "x_overlap_role") or default


def _disjoint(a: tuple, b: tuple, parents: Mapping[str | None, str | None]) -> bool:
    if a[2] != "subgroup" or b[2] != "subgroup":
        return False
    if b[1] in _ancestors(a[1], parents) or a[1] in _ancestors(b[1], parents):
        return False
    return not (a[3] == b[3] and a[4] != b[4])


def _ancestors(arm: str | None, parents: Mapping[str | None, str | None]) -> list[str]:
    chain: list[str] = []
    parent = parents.get(arm)
    while parent is not None and parent not in chain:
        chain.append(parent)
        parent = parents.get(parent)
    return chain
