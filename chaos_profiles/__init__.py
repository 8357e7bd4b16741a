"""Chaos profiles: what is played against a target app, as data, and the checks it must pass."""

from chaos_profiles.campaign_file import CampaignSpec, load_campaign
from chaos_profiles.catalogue import (
    PROFILES_ROOT,
    PROFILES_VARIABLE,
    Catalogue,
    LedgerQueries,
    Target,
    profiles_roots,
    short_name,
    target_folders,
    target_names,
)
from chaos_profiles.growth import GrowthError, TargetData, load_target_data
from chaos_profiles.loader import load_catalogue
from chaos_profiles.problems import Problem, ProfileError
from chaos_profiles.rules import TooSlowError, calibrated, latency_limit, rules_yaml

__all__ = [
    "PROFILES_ROOT",
    "PROFILES_VARIABLE",
    "CampaignSpec",
    "Catalogue",
    "GrowthError",
    "LedgerQueries",
    "Problem",
    "ProfileError",
    "Target",
    "TargetData",
    "TooSlowError",
    "calibrated",
    "latency_limit",
    "load_campaign",
    "load_catalogue",
    "load_target_data",
    "profiles_roots",
    "rules_yaml",
    "short_name",
    "target_folders",
    "target_names",
]
