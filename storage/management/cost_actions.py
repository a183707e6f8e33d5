"""`manage.py tiers cost`."""

import argparse

from django.core.management.base import CommandParser


def add_cost_action(actions: "argparse._SubParsersAction[CommandParser]") -> None:
    """Nothing yet."""
