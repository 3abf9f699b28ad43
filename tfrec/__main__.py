"""`python -m tfrec` is `tfrec`."""

from tfrec.cli import main

raise SystemExit(main())
