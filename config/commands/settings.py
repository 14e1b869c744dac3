"""`messenger settings`: the settings in force."""

import os
from collections.abc import Sequence

from config.settings.explain import explain
from config.settings.texts import DOTENV, WrongSettings
from interfaces.cli.looks import WRONG, CommandRefused
from interfaces.cli.main import EffectiveSetting


def settings_in_force() -> Sequence[EffectiveSetting]:
    try:
        told = explain(os.environ, DOTENV)
    except WrongSettings as wrong:
        raise CommandRefused(str(wrong), WRONG) from None
    return [EffectiveSetting(name=name, value=value, source=source) for name, value, source in told]
