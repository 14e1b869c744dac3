"""Reads the metrics of a running messenger."""

import httpx

from tests.system.server import Server


def figures(text: str) -> dict[str, float]:
    """The values of a page of metrics by name and labels, as they are written there."""
    lines = text.splitlines()
    return {name: float(value) for name, value in (x.rsplit(" ", 1) for x in lines if not x.startswith("#"))}


async def scrape(server: Server) -> dict[str, float]:
    """The present metrics of a messenger whose settings have a ``METRICS_PORT`` and no token for it."""
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"http://127.0.0.1:{server.settings['METRICS_PORT']}/metrics")
    return figures(answer.text)
