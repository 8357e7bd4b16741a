from __future__ import annotations

from typing import Any

import pytest
from operators import Toolbox
from operators.toolbox.instruments import AppAnswer, AppRequest

from tests.toolbox_kit import ASSIGNMENT, Bench, Panel, full_toolbox

OK = AppAnswer(
    status=200,
    headers={"Content-Type": "application/json"},
    body='{"a": 1}',
    size_bytes=8,
    duration_s=0.0123,
)


async def sent(arguments: dict[str, Any], **more: Any) -> AppRequest:
    panel, bench = Panel(answers=[OK]), Bench()
    tools = Toolbox(bench.equipment, ASSIGNMENT, bench, instruments=panel.instruments, **more)
    answer = await tools.call("http_request", arguments)
    assert not answer.is_error, answer.text
    request: AppRequest = panel.asked[0]
    return request


async def test_an_answer_is_told_with_status_size_duration_headers_and_body() -> None:
    panel = Panel(answers=[OK])
    answer = await full_toolbox(Bench(), panel).call(
        "http_request", {"method": "get", "path": "/things?a=1%20b"}
    )
    assert answer.text == (
        'HTTP 200, 8 bytes in 0.012 s\nContent-Type: application/json\n\n{"a": 1}'
    )
    assert panel.asked == [AppRequest(method="GET", path="/things?a=1%20b")]


async def test_a_server_error_is_an_answer_and_no_error_of_the_tool() -> None:
    failed = AppAnswer(status=500, headers={}, body="", size_bytes=0, duration_s=1.0)
    answer = await full_toolbox(Bench(), Panel(answers=[failed])).call(
        "http_request", {"method": "GET", "path": "/"}
    )
    assert (answer.is_error, answer.text) == (False, "HTTP 500, 0 bytes in 1.000 s")


async def test_the_user_is_set_by_the_header_that_the_app_knows() -> None:
    asked = {"method": "GET", "path": "/", "user_id": 7, "headers": {"x-user-id": "8", "A": "b"}}
    assert (await sent(asked)).headers == {"A": "b", "X-User-Id": "7"}
    own = await sent({"method": "GET", "path": "/", "user_id": "u1"}, user_header="X-Account")
    assert own.headers == {"X-Account": "u1"}


@pytest.mark.parametrize(
    ("body", "text"),
    [({"a": "é"}, '{"a": "é"}'), ([1, None], "[1, null]"), ("plain", "plain"), ("", "")],
)
async def test_a_body_is_json_unless_the_caller_says_otherwise(body: Any, text: str) -> None:
    request = await sent({"method": "POST", "path": "/", "body": body})
    assert (request.body, request.headers) == (text, {"Content-Type": "application/json"})
    other = {"content-type": "text/plain"}
    asked = {"method": "POST", "path": "/", "body": body, "headers": other}
    assert (await sent(asked)).headers == other


async def test_a_long_body_is_cut_and_says_so() -> None:
    long = AppAnswer(status=200, headers={}, body="x" * 50_000, size_bytes=90_000, duration_s=0.1)
    answer = await full_toolbox(Bench(), Panel(answers=[long])).call(
        "http_request", {"method": "GET", "path": "/"}
    )
    assert len(answer.text) < 21_000
    assert "[cut: the first 20000 of 50000 characters]" in answer.text
    assert answer.text.endswith("[cut: the body has 90000 bytes]")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"path": "http://example.com/"}, "path: it begins with one /"),
        ({"path": "//example.com/"}, "path: it begins with one /"),
        ({"path": "/a b"}, "path: it begins with one /"),
        ({"path": "/a\r\nX: y"}, "path: it begins with one /"),
        ({"path": "/é"}, "path: it begins with one /"),
        ({"path": "/" + "x" * 10_000_000}, "path: String should have at most 8000"),
        ({"method": "CONNECT"}, "method: Input should be 'GET'"),
        ({"method": "GET /x HTTP/1.1\r\n"}, "method: "),
        ({"headers": {"Host": "prometheus"}}, "headers: Host belongs to the connection"),
        ({"headers": {"Transfer-Encoding": "chunked"}}, "belongs to the connection"),
        ({"headers": {"A": "b\r\nC: d"}}, "headers: A must be one line"),
        ({"headers": {"A b": "c"}}, "headers: 'A b' is no name of a header"),
        ({"headers": {"": "c"}}, "is no name of a header"),
        ({"headers": {"A": ["b"]}}, "headers: Input should be a valid string"),
        ({"user_id": "1\r\nX: y"}, "user_id: user_id must be one line"),
        ({"user_id": "1\0"}, "user_id: holds a NUL"),
        ({"timeout_s": 61}, "timeout_s: Input should be less than or equal to 60"),
        ({"body": "x" * 3_000_000}, "body: it has more than 2000000 characters"),
        ({"body": {"a": float("nan")}}, "body: Out of range float values"),
        ({"body": {"a": 10**5_000}}, "body.a: a number of more than 64 bits"),
        ({"body": {"a": [object()]}}, "body.a[0]: a object is no JSON value"),
        ({"user_id": 10**5_000}, "user_id: a number of more than 64 bits"),
    ],
)
async def test_a_request_that_could_be_another_one_is_refused(
    arguments: dict[str, Any], said: str
) -> None:
    panel = Panel()
    asked = {"method": "GET", "path": "/"} | arguments
    answer = await full_toolbox(Bench(), panel).call("http_request", asked)
    assert answer.is_error
    assert said in answer.text
    assert panel.asked == []
