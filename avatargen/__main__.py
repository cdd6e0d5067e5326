"""`python -m avatargen`."""

import sys

from avatargen.cli import main

sys.exit(main())
