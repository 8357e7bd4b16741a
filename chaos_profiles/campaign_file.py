"""A campaign as a file: which ladder, in which order, with what clockwork and budgets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from campaign.model import (
    Budget,
    CampaignBudget,
    LoadVector,
    Mode,
    OperatorOptions,
    Plan,
    Profile,
    Timings,
    Webhook,
)
from chaos_profiles.catalogue import PROFILES_ROOT, Catalogue, target_folders, target_names
from chaos_profiles.checks import ParamsModels, check_load
from chaos_profiles.document import Document, read_document
from chaos_profiles.loader import ModelsOf, load_catalogue, load_vector
from chaos_profiles.problems import Problem, ProfileError, did_you_mean
from chaos_profiles.schema import CampaignFile, OperatorOptionsEntry
from chaos_profiles.validation import validate


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignSpec:
    """A checked campaign file, with the catalogue of the target that it names."""

    catalogue: Catalogue
    operator: str
    mode: Mode
    seed: int
    #: in the order in which they are played
    profiles: tuple[Profile, ...]
    base_load: LoadVector
    timings: Timings
    budget: Budget
    campaign_budget: CampaignBudget = field(default_factory=CampaignBudget)
    operator_options: OperatorOptions = field(default_factory=OperatorOptions)
    #: a continuous campaign keeps the state that each trial starts in
    snapshots: bool = True
    #: where notices go; no part of the plan, which everybody can read
    webhook: Webhook | None = None

    def plan(self, campaign: str) -> Plan:
        """The plan of a campaign of that name."""
        return Plan(
            campaign=campaign,
            target=self.catalogue.target.name,
            mode=self.mode,
            operator=self.operator,
            seed=self.seed,
            profiles=self.profiles,
            invariants=self.catalogue.invariants,
            base_load=self.base_load,
            timings=self.timings,
            budget=self.budget,
            campaign_budget=self.campaign_budget,
            operator_options=self.operator_options,
            snapshots=self.snapshots and self.mode == "continuous",
        )


def load_campaign(
    file: Path,
    *,
    roots: Sequence[Path] = (PROFILES_ROOT,),
    models_of: ModelsOf | None = None,
    sources: bool = False,
) -> CampaignSpec:
    """The campaign in `file`, against the targets under `roots`; see `load_catalogue`.

    Raises:
        ProfileError: with all that is wrong with the file, or with the target it names.
    """
    document = read_document(file)
    content = validate(document, CampaignFile)
    targets = target_names(roots)
    if content.target not in targets:
        message = f"no such target; {did_you_mean(content.target, targets)}"
        raise ProfileError([document.problem(("target",), message)])
    timings = Timings(**content.timings.model_dump())
    folder, *more = target_folders(content.target, roots)
    catalogue = load_catalogue(
        folder, more=more, models_of=models_of, timings=timings, sources=sources
    )
    models = {} if models_of is None else models_of(catalogue.target.clients)
    problems = list(_problems(document, content, catalogue, models, timings))
    if problems:
        raise ProfileError(problems)
    return _spec(content, catalogue, timings)


def _problems(
    document: Document,
    content: CampaignFile,
    catalogue: Catalogue,
    params_models: ParamsModels,
    timings: Timings,
) -> Iterator[Problem]:
    for number, name in enumerate(content.profiles or ()):
        try:
            catalogue.profile(name)
        except KeyError as exc:
            yield document.problem(("profiles", number), str(exc.args[0]))
    yield from check_load(
        document,
        ("base_load",),
        content.base_load or [],
        behaviours=catalogue.target.behaviours,
        params_models=params_models,
        timings=timings,
    )


def _spec(content: CampaignFile, catalogue: Catalogue, timings: Timings) -> CampaignSpec:
    profiles = catalogue.profiles
    if content.profiles is not None:
        profiles = tuple(catalogue.profile(name) for name in content.profiles)
    base_load = catalogue.target.base_load
    if content.base_load is not None:
        base_load = load_vector(content.base_load)
    return CampaignSpec(
        catalogue=catalogue,
        operator=content.operator,
        mode=content.mode,
        seed=content.seed,
        profiles=profiles,
        base_load=base_load,
        timings=timings,
        budget=Budget(**content.budget.model_dump()),
        campaign_budget=CampaignBudget(**content.campaign_budget.model_dump()),
        operator_options=_options(content.operator_options),
        webhook=None if content.webhook is None else Webhook(**content.webhook.model_dump()),
    )


def _options(entry: OperatorOptionsEntry) -> OperatorOptions:
    return OperatorOptions(**{**entry.model_dump(), "approve": tuple(entry.approve)})
