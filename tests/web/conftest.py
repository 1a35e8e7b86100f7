"""Web tests that need a database run over both."""

from tests.support.stores import *  # noqa: F403
