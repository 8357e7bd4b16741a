from __future__ import annotations

import base64

import pytest

from campaign.webhook.signing import SecretError, headers, parse_secrets, signature

#: of the standard's own libraries' tests: secret, id, time, body and signature
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - a published one
NOTICE = "msg_p5jXN8AQM9LWM0D4loKWxJek"
TIMESTAMP = 1614265330
BODY = b'{"test": 2432232314}'
EXPECTED = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

OTHER = "whsec_" + base64.b64encode(bytes(range(32))).decode()


def test_it_is_the_signature_that_the_standard_wants() -> None:
    (key,) = parse_secrets(SECRET)
    assert signature(key, notice=NOTICE, timestamp=TIMESTAMP, body=BODY) == EXPECTED


@pytest.mark.parametrize(
    "other",
    [{"notice": "msg_x"}, {"timestamp": TIMESTAMP + 1}, {"body": BODY + b" "}],
    ids=lambda other: next(iter(other)),
)
def test_id_time_and_body_are_all_signed(other: dict[str, object]) -> None:
    (key,) = parse_secrets(SECRET)
    signed = {"notice": NOTICE, "timestamp": TIMESTAMP, "body": BODY, **other}
    assert signature(key, **signed) != EXPECTED  # type: ignore[arg-type]


def test_the_three_headers_are_the_standards() -> None:
    sent = headers(parse_secrets(SECRET), notice=NOTICE, timestamp=TIMESTAMP, body=BODY)
    assert sent == {
        "webhook-id": NOTICE,
        "webhook-timestamp": str(TIMESTAMP),
        "webhook-signature": EXPECTED,
    }


def test_while_a_secret_is_changed_both_sign() -> None:
    keys = parse_secrets(f"{OTHER}\n{SECRET}\n")
    sent = headers(keys, notice=NOTICE, timestamp=TIMESTAMP, body=BODY)["webhook-signature"]
    first, second = sent.split(" ")
    assert second == EXPECTED
    assert first == signature(bytes(range(32)), notice=NOTICE, timestamp=TIMESTAMP, body=BODY)


def test_without_a_secret_nothing_pretends_to_be_signed() -> None:
    sent = headers((), notice=NOTICE, timestamp=TIMESTAMP, body=BODY)
    assert set(sent) == {"webhook-id", "webhook-timestamp"}


def test_a_secret_may_come_without_its_prefix() -> None:
    assert parse_secrets(SECRET.removeprefix("whsec_")) == parse_secrets(SECRET)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        ("  \n", "empty"),
        ("whsec_hunter-2", "not whsec_ and base64"),
        ("whsec_" + base64.b64encode(b"hunter2" * 3).decode(), "21 bytes"),
        ("whsec_" + base64.b64encode(b"hunter2" * 10).decode(), "70 bytes"),
        (f"{SECRET} {SECRET} {SECRET}", "3 words"),
    ],
)
def test_what_is_no_secret_is_refused_and_not_repeated(text: str, problem: str) -> None:
    with pytest.raises(SecretError, match=problem) as caught:
        parse_secrets(text)
    assert not any(word in str(caught.value) for word in text.split())
    assert caught.value.__cause__ is None
