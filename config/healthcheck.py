"""
The health check of the container: exits with 0 if the messenger on this machine is ready, or with 1 and the reason.

It finds the messenger by the same settings, from the environment and `.env`. It imports little, because it runs every few
seconds.
"""

import os
import sys
from http.client import HTTPConnection, HTTPException
from typing import Final

from config.settings.texts import DOTENV, WrongSettings, values_by_name

SECONDS: Final = 4.0

EVERY_ADDRESS: Final = ("0.0.0.0", "::")  # noqa: S104 - compared with, not listened on


def main() -> None:
    try:
        values = values_by_name(os.environ, DOTENV)
        host = values.get("API_HOST", "").strip()
        port = int(values.get("API_SERVICE_PORT", "8788"))
    except (WrongSettings, ValueError) as error:
        sys.exit(f"the settings cannot be read: {error}")
    connection = HTTPConnection("127.0.0.1" if host in ("", *EVERY_ADDRESS) else host, port, timeout=SECONDS)
    try:
        connection.request("GET", "/readyz")
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        sys.exit(f"no answer from {connection.host} port {port}: {error}")
    finally:
        connection.close()
    if status != 200:
        sys.exit(f"not ready: {status}")


if __name__ == "__main__":
    main()
