"""Lets `python -m hirelog` work."""

import sys

from hirelog.cli import main

sys.exit(main())
