"""Whether an answer is one that the document allows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from campaign.gates.answer import Answer
from campaign.gates.conformance.cases import Case


class Judge:
    """Holds answers against one document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        import schemathesis  # noqa: PLC0415 - a second to import, so only when asked

        self._schema = schemathesis.openapi.from_dict(dict(document))

    def problems(self, case: Case, answer: Answer) -> list[str]:
        """What is wrong with the answer: its status, its content type, its shape."""
        from schemathesis.core.failures import FailureGroup  # noqa: PLC0415 - see above
        from schemathesis.specs.openapi import checks  # noqa: PLC0415 - see above

        made = self._schema[case.path][case.method].Case(
            path_parameters=dict(case.path_parameters), query=dict(case.query)
        )
        rules = [
            checks.status_code_conformance,
            checks.content_type_conformance,
            checks.response_schema_conformance,
        ]
        try:
            made.validate_response(_response(answer), checks=rules)
        except FailureGroup as group:
            return [f"{failure.title}: {failure.message}".strip() for failure in group.exceptions]
        return []


def _response(answer: Answer) -> Any:
    import requests  # noqa: PLC0415 - comes with schemathesis
    from schemathesis import Response  # noqa: PLC0415 - see above

    method, _, path = answer.asked.partition(" ")
    return Response(
        status_code=answer.status,
        headers={name: [value] for name, value in answer.headers.items()},
        content=answer.body,
        request=requests.Request(method, f"http://app{path}").prepare(),
        elapsed=0.0,
        verify=False,
    )
