"""`python -m nc1fast`: the command line, also where its script is not on the path."""

from __future__ import annotations

from nc1fast.cli import main

if __name__ == "__main__":
    main()
