"""`ratchet operator price`: what models cost, and who says so."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from operators.prices import PriceTable
from rich.console import Console
from rich.table import Table
from rich.text import Text

from campaign.cli.common import JsonOption, print_json, tell
from campaign.price_files import keep_table, read_prices


def register(app: typer.Typer) -> None:
    """Add `price` to the commands of `ratchet operator`."""
    app.command("price", epilog="Example: ratchet operator price --update-from prices.yaml")(price)


def price(
    update_from: Annotated[
        Path | None,
        typer.Option(
            "--update-from",
            metavar="FILE",
            dir_okay=False,
            help="Take this table, kept in your config folder, before the shipped one.",
        ),
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """What a million tokens cost; used where a provider does not say what a session cost."""
    if update_from is not None:
        tell(f"{keep_table(update_from)}: taken from now on")
    tables = read_prices().tables
    if as_json:
        print_json({"tables": [table.model_dump(by_alias=True) for table in tables]})
        return
    console = Console(highlight=False)
    for number, table in enumerate(tables):
        if number:
            console.print()
        _show(table, console)


def _show(table: PriceTable, console: Console) -> None:
    console.print(Text(f"{table.date}  {table.source}", style="dim"))
    view = Table(box=None, pad_edge=False, header_style="dim")
    view.add_column("$ per million tokens", no_wrap=True)
    for name in ("input", "output", "cache read", "write 5 m", "write 1 h"):
        view.add_column(name, justify="right")
    for entry in table.prices:
        for model in entry.models:
            view.add_row(Text(model), *_row(entry.tokens.model_dump()))
        if entry.long_prompt is not None:
            above = f"  prompts above {entry.above_prompt_tokens:,} tokens"
            view.add_row(Text(above, style="dim"), *_row(entry.long_prompt.model_dump()))
    console.print(view)


def _row(prices: dict[str, float]) -> tuple[str, ...]:
    return tuple(f"{value:g}" for value in prices.values())
