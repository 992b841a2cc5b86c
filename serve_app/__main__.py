"""`python -m serve_app` is `sparkvox`."""

import sys

from serve_app.cli import main

sys.exit(main())
