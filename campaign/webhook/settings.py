"""Where notices go: checked at the seam, and kept for whoever resumes the campaign."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

from campaign.errors import UsageError
from campaign.model import Webhook
from campaign.webhook.signing import SecretError, parse_secrets

_MOST_CHARS = 2000


def require_usable(webhook: Webhook | None) -> None:
    """Whether notices could be sent there, and signed; asks nobody.

    Raises:
        UsageError: what is wrong, without the address and the secret.
    """
    if webhook is not None:
        host_of(webhook)
        keys_of(webhook)


def host_of(webhook: Webhook) -> str:
    """Such as `https://pager.example:8443`: what may be shown of the address.

    Raises:
        UsageError: it is no address that notices could go to.
    """
    text = webhook.url
    try:
        url = urlsplit(text)
        known = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
    except ValueError:
        known = False
    if not known or not text.isascii() or not text.isprintable() or " " in text:
        raise UsageError("--webhook: expected http:// or https:// and a host")
    if len(text) > _MOST_CHARS:
        raise UsageError(f"--webhook: it has more than {_MOST_CHARS} characters")
    if url.username is not None or url.password is not None or url.fragment:
        raise UsageError(
            "--webhook: it must not hold a user, a password or anything after '#'",
            hint="what comes from us is known by its signature: --webhook-secret-file",
        )
    return f"{url.scheme}://{url.netloc}"


def keys_of(webhook: Webhook) -> tuple[bytes, ...]:
    """What notices are signed with, read anew; none when no secret was named.

    Raises:
        UsageError: the file cannot be read, or holds no secret.
    """
    if webhook.secret_file is None:
        return ()
    try:
        text = Path(webhook.secret_file).read_text(encoding="ascii")
        return parse_secrets(text)
    except OSError as error:
        raise UsageError(f"the webhook's secret cannot be read: {error}") from error
    except SecretError as error:
        problem = str(error)
    except UnicodeDecodeError:  # which would quote the bytes
        problem = "it is no text"
    raise UsageError(
        f"the webhook's secret in {webhook.secret_file}: {problem}",
        hint="""make one: (printf whsec_; head -c 32 /dev/urandom | base64) > webhook.secret""",
    )


def keep(file: Path, webhook: Webhook) -> None:
    """For our own user only, all at once: a resume needs it, and the address may be a secret."""
    draft = file.with_name(f".{file.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        json.dump(asdict(webhook), stream)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(file)


def kept(file: Path) -> Webhook | None:
    """What `keep` wrote; None when it never did.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return Webhook(**json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(
            f"{file} cannot be read ({type(error).__name__})",
            hint="give --webhook once more, or remove the file to send nothing",
        ) from error
