"""
The health check of the container: exits with 0 if the messenger on this machine is ready, or with 1 and the reason.

It imports only the standard library, because it runs every few seconds.
"""

import os
import sys
from http.client import HTTPConnection, HTTPException
from typing import Final

SECONDS: Final = 4.0


def main() -> None:
    port = int(os.environ.get("API_SERVICE_PORT") or 8788)
    connection = HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("GET", "/readyz")
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        sys.exit(f"no answer: {error}")
    finally:
        connection.close()
    if status != 200:
        sys.exit(f"not ready: {status}")


if __name__ == "__main__":
    main()
