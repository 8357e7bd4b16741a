"""`python -m campaign.metrics_page FILE` writes the page; `make metrics` does so in its place."""

from __future__ import annotations

import argparse
from pathlib import Path

from campaign.metrics_page import metrics_page


def main() -> None:
    parser = argparse.ArgumentParser(prog="metrics_page", description="Write docs/metrics.md.")
    parser.add_argument("file", type=Path, help="What to write.")
    parser.parse_args().file.write_text(metrics_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
