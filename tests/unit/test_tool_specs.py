from __future__ import annotations

import re

import pytest
from operators import Toolbox, ToolSpec
from operators.session import Tools
from operators.toolbox.catalogue import TOOLS, spec

from campaign.model import TOOL_NAMES
from tests.toolbox_kit import ASSIGNMENT, Bench, Panel, full_toolbox

SPECS = [spec(tool) for tool in TOOLS]


def names(tools: Tools) -> list[str]:
    return [of.name for of in tools.specs]


def test_the_tools_have_the_names_that_everybody_relies_on() -> None:
    assert set(TOOL_NAMES) == {
        "read_ticket",
        "bash",
        "str_replace_based_edit_tool",
        "search_files",
        "http_request",
        "sql",
        "list_metrics",
        "query_metrics",
        "read_logs",
        "list_deployments",
        "file_plan",
        "write_note",
        "acknowledge",
        "deploy",
        "resolve",
    }
    assert len(TOOL_NAMES) == len(set(TOOL_NAMES))
    assert [tool.name for tool in TOOLS] == list(TOOL_NAMES)


def test_a_session_is_offered_what_it_has_the_means_for() -> None:
    bench, panel = Bench(), Panel()
    everything = list(TOOL_NAMES)
    assert names(full_toolbox(bench, panel, plan_mode=True)) == everything
    everything.remove("file_plan")
    assert names(full_toolbox(bench, panel)) == everything
    assert set(names(Toolbox(bench.equipment, ASSIGNMENT, bench))) == {
        "read_ticket",
        "str_replace_based_edit_tool",
        "search_files",
        "write_note",
        "acknowledge",
        "deploy",
        "resolve",
    }


@pytest.mark.parametrize("of", SPECS, ids=lambda of: str(of.name))
def test_each_schema_is_a_closed_object_whose_arguments_are_described(of: ToolSpec) -> None:
    assert of.parameters["type"] == "object"
    assert of.parameters["additionalProperties"] is False
    assert set(of.parameters["required"]) <= set(of.parameters["properties"])
    for name, argument in of.parameters["properties"].items():
        assert len(argument["description"]) > 15, name
        assert "type" in argument or "anyOf" in argument, name
        assert "$ref" not in str(argument)
        assert "title" not in argument


@pytest.mark.parametrize("of", SPECS, ids=lambda of: str(of.name))
def test_each_description_has_limits_an_example_and_what_to_do(of: ToolSpec) -> None:
    if not of.parameters["properties"]:
        assert "no arguments" in of.description
        return
    assert re.search(r"^Examples?: \{", of.description, re.MULTILINE)
    if of.name not in {"acknowledge", "write_note", "file_plan"}:
        assert "Limits: " in of.description
        assert re.search(r"\b[Ww]hen (it|the|a|there|nothing)\b", of.description)


@pytest.mark.parametrize("of", SPECS, ids=lambda of: str(of.name))
def test_no_description_tells_of_the_harness(of: ToolSpec) -> None:
    told = f"{of.description} {of.parameters}".lower()
    for word in ("ratchet", "harness", "chaos", "profile", "supervisor", "locust", "journal"):
        assert word not in told
