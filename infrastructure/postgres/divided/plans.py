from collections.abc import Mapping
from typing import Final

AS_DIVIDED: Final[Mapping[str, str]] = {"plan_cache_mode": "force_custom_plan"}
"""Citus finds the node of a chat in the plan, so each plan must be made for the chat."""
