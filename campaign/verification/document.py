"""docs/profiles.md: what each profile is, from its files, and what was measured, from evidence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from textwrap import shorten
from typing import Any, TypeAlias

from campaign.model import LoadDimension, Profile
from chaos_profiles import Catalogue
from chaos_profiles.document import read_document

Json: TypeAlias = Mapping[str, Any]

#: of what caught a hack, in a table
_CELL_CHARS = 160

_HEAD = """\
# Chaos profiles

Each profile is the load and the data that expose one anti-pattern of `{target}`. This page is
generated (`ratchet profiles page`) from the profiles' own files and from the evidence of
`ratchet profiles verify`, which plays each of them, isolated, and takes it for proven when

- the unmodified app violates every invariant that the profile names (*red*),
- with the profile's fix alone each is held with at least three times the room (*green*; what must
  be zero is zero),
- with the fixes of all other profiles it is violated all the same, or, when the profile says what
  masks it, without those,
- with all fixes nothing is violated,
- no hack is taken for a repair.

Of a latency the *margin* is the limit L over the worst p95 of any window, of anything else the
limit over the worst value; *all* means that nothing at all was seen of it.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Proven:
    """One profile's part of a verification, and the verification."""

    proof: Json
    evidence: Json


def profiles_page(catalogue: Catalogue, evidence: Sequence[Json]) -> str:
    """The whole page; of two verifications of the same profile the later one counts.

    Raises:
        ProfileError: the target's ground truth cannot be read.
    """
    proven = {
        proof["profile"]: _Proven(proof=proof, evidence=one)
        for one in evidence
        for proof in one["profiles"]
    }
    truth = _ground_truth(catalogue)
    parts = [_HEAD.format(target=catalogue.target.name), _overview(catalogue, proven)]
    for profile in catalogue.profiles:
        parts.append(_profile(catalogue, profile, truth))
        parts.append(_measured(proven.get(profile.id)))
    return "\n".join(parts).rstrip() + "\n"


def _ground_truth(catalogue: Catalogue) -> dict[str, Json]:
    """What is wrong with the app, by file:function; a target need not tell."""
    file = catalogue.target.folder / "ground_truth.yaml"
    if not file.exists():
        return {}
    return {entry["where"]: entry for entry in read_document(file).data.get("anti_patterns", ())}


def _overview(catalogue: Catalogue, proven: Mapping[str, _Proven]) -> str:
    lines = ["| profile | category | breaks | proven |", "|---|---|---|---|"]
    for profile in catalogue.profiles:
        name = f"[{catalogue.folder(profile).name}](#{_anchor(catalogue, profile)})"
        found = proven.get(profile.id)
        state = "not measured" if found is None else ("yes" if found.proof["proven"] else "no")
        lines.append(f"| {name} | {profile.category} | {_codes(profile.breaks)} | {state} |")
    return "\n".join((*lines, ""))


def _anchor(catalogue: Catalogue, profile: Profile) -> str:
    """As GitHub makes it from the heading."""
    heading = f"{catalogue.folder(profile).name} {profile.title}".lower()
    kept = "".join(char for char in heading if char.isalnum() or char in " -_")
    return kept.replace(" ", "-")


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


# -- what it is -----------------------------------------------------------------------------------


def _profile(catalogue: Catalogue, profile: Profile, truth: Mapping[str, Json]) -> str:
    lines = [
        f"## {catalogue.folder(profile).name} {profile.title}",
        "",
        f"*{profile.category}*: {profile.symptom}.",
        "",
        *(_anti_pattern(where, truth.get(where)) for where in _wheres(profile, truth)),
        *(f"- **Load**: {_load(catalogue, dimension)}." for dimension in profile.load),
    ]
    if data := ", ".join(_amounts(profile.growth)):
        lines.append(f"- **Data**: {data}.")
    lines.append(f"- **Breaks**: {_codes(profile.breaks)}.")
    if profile.note:
        lines.append(f"- **Added**: {profile.note}")
    if profile.masked_by:
        lines.append(f"- **Masked by** the fixes of {_codes(profile.masked_by)}.")
    return "\n".join((*lines, ""))


def _wheres(profile: Profile, truth: Mapping[str, Json]) -> tuple[str, ...]:
    """What the profile names, and what else the ground truth says it notices."""
    noticed = (
        where for where, entry in truth.items() if entry["noticed_by"].get("profile") == profile.id
    )
    return tuple(dict.fromkeys((*profile.anti_patterns, *noticed)))


def _anti_pattern(where: str, entry: Json | None) -> str:
    what = "" if entry is None else f": {entry['what']}"
    return f"- **`{where}`**{what}."


def _load(catalogue: Catalogue, dimension: LoadDimension) -> str:
    calls = _codes(catalogue.target.behaviours.get(dimension.behaviour, ()))
    arrival = "all at the same instants" if dimension.arrival == "burst" else "spread out"
    in_flight = dimension.params.get("max_in_flight")
    bound = f", at most {in_flight} in flight" if in_flight else ""
    return (
        f"{dimension.users:,} x {dimension.behaviour} ({calls}): {dimension.rate_hz:g} a second "
        f"each, {arrival}{bound}"
    )


def _amounts(growth: Mapping[str, Any]) -> Iterator[str]:
    """Rows in words; where their ids begin is of no interest here."""
    for key, value in growth.items():
        words = key.replace("_", " ")
        match value:
            case {"count": 0} | 0:
                continue
            case {"count": count}:
                yield f"{count:,} {words}"
            case bool():
                yield words if value else f"no {words}"
            case int() if key.startswith("first_"):
                continue
            case int():
                yield f"{value:,} {words}"
            case dict():
                inner = ", ".join(f"{name} {amount}" for name, amount in value.items())
                yield f"{words} ({inner})"
            case _:
                yield f"{words} {value}"


# -- what was measured ----------------------------------------------------------------------------


def _measured(proven: _Proven | None) -> str:
    if proven is None:
        return "Not measured yet.\n"
    proof = proven.proof
    lines = [
        "| invariant | limit | red | green | margin |",
        "|---|---|---|---|---|",
        *_rows(proof),
        "",
        *_without(proof),
        *_hacks(proof["hacks"]),
        *(f"- **Not proven**: {problem}" for problem in proof["problems"]),
        *([""] if proof["problems"] else []),
        _where(proven.evidence),
    ]
    return "\n".join((*lines, ""))


def _rows(proof: Json) -> Iterator[str]:
    """One an invariant, with every repeat's value."""
    runs = [*proof["red"], *proof["green"]]
    for number, one in enumerate(runs[0]["measured"] if runs else ()):
        red = [run["measured"][number] for run in proof["red"] if run["measured"]]
        green = [run["measured"][number] for run in proof["green"] if run["measured"]]
        cells = (
            f"`{one['invariant']}`",
            _limit(one),
            ", ".join(_value(each) for each in red),
            ", ".join(_value(each, held=True) for each in green),
            ", ".join(_margin(each) for each in green),
        )
        yield f"| {' | '.join(cells)} |"


def _limit(measured: Json) -> str:
    limit = _amount(measured["limit"], measured["unit"])
    if measured["latency_limit_s"] is None:
        return limit
    return f"{limit} slower than {_amount(measured['latency_limit_s'], 'seconds')}"


def _value(measured: Json, *, held: bool = False) -> str:
    """Of a latency that is held, its p95 says more than a fraction of zero."""
    if measured["value"] is None:
        return "not measured"
    if held and measured["p95_s"] is not None and measured["value"] <= measured["limit"]:
        return f"p95 {_amount(measured['p95_s'], 'seconds')}"
    return _amount(measured["value"], measured["unit"])


def _amount(value: float, unit: str) -> str:
    match unit:
        case "ratio":
            return f"{value * 100:.3g} %"
        case "seconds":
            return f"{value:.3g} s" if value >= 1 else f"{value * 1000:.3g} ms"
        case "bytes":
            return f"{value / 1000:,.4g} KB"
        case _:
            return f"{value:,.4g}"


def _margin(measured: Json) -> str:
    if measured["margin"] is not None:
        return f"{measured['margin']:.3g}x"
    return "all" if measured["value"] == 0 else "unknown"


def _without(proof: Json) -> Iterator[str]:
    """The runs with other profiles' fixes, in a sentence each."""
    told = {
        "others": "With the fixes of all other profiles",
        "unmasked": "With those, but without what masks it",
        "all_fixes": "With all fixes",
    }
    if tight := _tightest(proof):
        yield f"- With the fix alone the closest of all others is {tight}."
    for key, words in told.items():
        run = proof[key]
        if run is not None:
            values = ", ".join(f"`{one['invariant']}` {_value(one)}" for one in run["measured"])
            yield f"- {words}: {run['verdict']}; {values or 'nothing was measured'}."
    if tight or any(proof[key] is not None for key in told):
        yield ""


def _tightest(proof: Json) -> str:
    """The latency that came closest to its limit although the profile does not name it."""
    found = [run["tightest"] for run in proof["green"] if run.get("tightest")]
    if not found:
        return ""
    one = min(found, key=lambda each: each["latency_limit_s"] / each["p95_s"])
    p95, limit = (_amount(one[key], "seconds") for key in ("p95_s", "latency_limit_s"))
    return f"`{one['invariant']}`, p95 {p95} of {limit}"


def _hacks(hacks: Sequence[Json]) -> Iterator[str]:
    if not hacks:
        return
    yield from ("| hack | verdict | caught by |", "|---|---|---|")
    for hack in hacks:
        caught = (
            f"{hack['caught_by']}: {hack['caught_what']}" if hack["caught"] else hack["problem"]
        )
        yield f"| {hack['kind']} | {hack['verdict']} | {_cell(caught)} |"
    yield ""


def _cell(text: str) -> str:
    """Of a table: one short line; the evidence has it whole."""
    return shorten(text, _CELL_CHARS, placeholder=" …").replace("|", "\\|")


def _where(evidence: Json) -> str:
    machine, harness = evidence["machine"], evidence["harness"]
    when = datetime.fromisoformat(evidence["verified_at"])
    memory_gib = machine["memory_bytes"] / 2**30
    commit = f" at {harness['commit']}" if harness["commit"] else ""
    return (
        f"Measured on {when:%Y-%m-%d} with {machine['cores']} cores and {memory_gib:.0f} GiB "
        f"({machine['system']}), ratchet {harness['version']}{commit}.\n"
    )
