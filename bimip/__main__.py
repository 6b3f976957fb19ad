"""`python -m bimip`, and the `bimip` command."""

from bimip.cli.commands import main

if __name__ == "__main__":
    main()
