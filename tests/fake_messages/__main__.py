"""`python -m tests.fake_messages --model MODULE:NAME`: the fake API as a process of its own.

For a client that is one too: ANTHROPIC_BASE_URL=http://127.0.0.1:PORT ANTHROPIC_API_KEY=any.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import signal
import sys
from pathlib import Path

from tests.fake_messages.model import Model
from tests.fake_messages.server import FakeMessages, running_fake


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="an address of this machine")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument(
        "--model",
        default="tests.fake_messages.misbehaviour:Echo",
        help="module:name of a class or function that makes a Model, called without arguments",
    )
    parser.add_argument("--api-key", help="the only key that is let in")
    parser.add_argument("--record", type=Path, help="a file for the requests at the end, as JSON")
    options = parser.parse_args()
    asyncio.run(_serve(_model(options.model), options))


def _model(place: str) -> Model:
    module, _, name = place.partition(":")
    made: Model = getattr(importlib.import_module(module), name)()
    return made


async def _serve(model: Model, options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with running_fake(
        model, host=options.host, port=options.port, api_key=options.api_key
    ) as fake:
        # The one line of its output: whoever started it waits for it.
        sys.stdout.write(json.dumps({"base_url": fake.base_url}) + "\n")
        sys.stdout.flush()
        await stop.wait()
    _record(fake, options.record)


def _record(fake: FakeMessages, file: Path | None) -> None:
    if file is None:
        return
    kept = [{"path": request.path, "body": request.body} for request in fake.requests]
    file.write_text(json.dumps({"requests": kept, "refused": fake.refused}))


if __name__ == "__main__":
    main()
