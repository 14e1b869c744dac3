"""What the use cases of all features are wrapped in."""

from application.recording import Watch
from config.ports import Ports


def watching(ports: Ports) -> Watch:
    return Watch(log=ports.security, clock=ports.clock)
