"""Chaos profiles: what is played against a target app, as data, and the checks it must pass."""

from chaos_profiles.campaign_file import CampaignSpec, load_campaign
from chaos_profiles.catalogue import (
    PROFILES_ROOT,
    Catalogue,
    LedgerQueries,
    Target,
    short_name,
    target_names,
)
from chaos_profiles.growth import GrowthError, TargetData, load_target_data
from chaos_profiles.loader import load_catalogue
from chaos_profiles.problems import Problem, ProfileError
from chaos_profiles.rules import TooSlowError, calibrated, latency_limit, rules_yaml
from chaos_profiles.sources import check_sources

__all__ = [
    "PROFILES_ROOT",
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
    "check_sources",
    "latency_limit",
    "load_campaign",
    "load_catalogue",
    "load_target_data",
    "rules_yaml",
    "short_name",
    "target_names",
]
