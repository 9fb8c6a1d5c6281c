"""`python -m upbit_ws.cli` is `upbit-ws`."""

from __future__ import annotations

import sys

from upbit_ws.cli import main

sys.exit(main())
