"""Builds the limits of what people do, and the rules for groups, from the settings."""

from datetime import timedelta
from typing import Final

from application.chats.membership import Adding
from application.limits import Action, ActionLimits
from application.ports.limiter import Allowance
from config.ports import Ports
from config.settings.groups import Limits, Settings
from domain.group_rules import GroupRules

OFTEN: Final = {Action.SEND, Action.MARK, Action.TYPE, Action.SYNC}
"""Several processes do not tell each other of these: that would be as much traffic as the actions themselves."""

MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)


def make_adding(ports: Ports, settings: Settings) -> Adding:
    chat = settings.chat
    return Adding(
        rules=GroupRules(
            most_members=chat.most_members, most_chats=chat.most_chats, who_may_add=chat.who_may_add
        ),
        limits=make_limits(ports, settings.limits),
    )


def make_limits(ports: Ports, limits: Limits) -> ActionLimits:
    table = [
        (Action.SIGN_IN, HOUR, limits.sign_ins, limits.network_sign_ins),
        (Action.SIGN_UP, HOUR, 0, limits.network_sign_ups),
        (Action.RESET, HOUR, 0, limits.network_resets),
        (Action.REFRESH, HOUR, limits.refreshes, limits.network_refreshes),
        (Action.SEND, MINUTE, limits.sends, limits.network_sends),
        (Action.MARK, MINUTE, limits.marks, limits.network_marks),
        (Action.TYPE, MINUTE, limits.typing, limits.network_typing),
        (Action.CREATE_CHAT, HOUR, limits.new_chats, limits.network_new_chats),
        (Action.ADD_MEMBERS, HOUR, limits.added_people, limits.network_added_people),
        (Action.SEARCH, MINUTE, limits.searches, limits.network_searches),
        (Action.CONNECT, MINUTE, limits.connects, limits.network_connects),
        (Action.SYNC, MINUTE, limits.syncs, limits.network_syncs),
    ]
    return ActionLimits(
        limiter=ports.limiter,
        clock=ports.clock,
        per_account={
            # Nobody who is signed out may learn how often an account signs in.
            action: Allowance(
                action.value, most, within, is_shared=action is Action.SIGN_IN, is_of_process=action in OFTEN
            )
            for action, within, most, _ in table
        },
        per_network={
            action: Allowance(
                f"{action.value} from", most, within, is_shared=True, is_of_process=action in OFTEN
            )
            for action, within, _, most in table
        },
    )
