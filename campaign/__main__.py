"""``python -m campaign``: the command `ratchet`."""

from campaign.cli import main

if __name__ == "__main__":
    main()
