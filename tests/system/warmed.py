"""
What the process that messengers are forked from has done beforehand, because each of them would do it at its start: it has
compiled the patterns of all routes, made the hash that is compared with where there is no account, and called what is slow
only the first time. Only that process imports this.

It also hashes passwords a hundred times faster than a messenger should: the tests sign in two thousand times. How hard hashes
really are is held by `tests/infrastructure/crypto/test_passwords.py`; messengers that are started as programs hash like that.
"""

from config.asgi import make_app
from config.container import Application, MemoryAdapters
from config.quick_imports import quick_imports
from config.settings.groups import Jwt, Settings
from infrastructure.crypto import passwords
from tests.system import forked  # noqa: F401

vars(passwords).update(PASSES=1, MEMORY=8)
with quick_imports():
    _settings = Settings(jwt=Jwt(secret="k" * 32))
    make_app(Application(adapters=MemoryAdapters(settings=_settings)), _settings, failed=lambda: None)
