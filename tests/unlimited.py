"""No limits, for tests of something else."""

from typing import Final

from application.chats.membership import Adding
from application.limits import ActionLimits
from domain.group_rules import GroupRules
from infrastructure.memory.limiter import MemoryLimiter
from infrastructure.system.clock import SystemClock

UNLIMITED: Final = ActionLimits(limiter=MemoryLimiter(), clock=SystemClock(), per_account={}, per_network={})
ADDING: Final = Adding(rules=GroupRules(), limits=UNLIMITED)
