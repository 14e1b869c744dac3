from typing import Never

from attrs import frozen

from domain.passkey import PasskeysUnavailable


@frozen
class NoDevices:
    """Stands in where the operator has not switched passkeys on, so that nothing is imported for them. No use case comes so far."""

    def options_to_make(self, *_: object, **__: object) -> Never:
        raise PasskeysUnavailable

    def options_to_use(self, *_: object, **__: object) -> Never:
        raise PasskeysUnavailable

    def made(self, *_: object, **__: object) -> Never:
        raise PasskeysUnavailable

    def presented(self, *_: object, **__: object) -> Never:
        raise PasskeysUnavailable

    def used(self, *_: object, **__: object) -> Never:
        raise PasskeysUnavailable
