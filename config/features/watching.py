"""Builds the wrapper that lets the security log hear what use cases refuse."""

from application.recording import Watch
from config.ports import Ports


def watching(ports: Ports) -> Watch:
    return Watch(log=ports.security, clock=ports.clock)
