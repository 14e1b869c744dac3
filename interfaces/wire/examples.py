"""
The values that the document gives as examples.

In LOCAL they work as they are: they belong to the example people (`config.data`), whose password is ``admin``, and are
Anna's, as whom the example of signing in signs in. A test sends every documented request.
"""

from typing import Final

EMAIL: Final = "user1@example.com"
PASSWORD: Final = "admin"  # noqa: S105 - of the example people, published
NEW_EMAIL: Final = "olga@example.com"
NEW_PASSWORD: Final = "Three-otters-7"  # noqa: S105 - an example
FINGERPRINT: Final = "my-laptop"

ACCOUNT: Final = "48de9bc3-638d-5f6e-a989-5292d7d2db50"
ANNA: Final = "8e930b68-9281-5ca3-bd2d-d2b5a4d41714"
MIKHAIL: Final = "019654ec-d3ca-56b0-8b21-237878e7ebb0"
"""The profile of a member of `CHAT`."""
CHLOE: Final = "0bbe96eb-e240-5800-8a59-8ed60c13e1d2"
"""The profile of somebody who is not a member of `CHAT`."""
CHAT: Final = "21d79d31-3705-5068-a48b-18a2cdd3b0ae"
"""A group that Anna owns, with 16 messages."""
MESSAGE: Final = "dea73278-647e-5582-b1b0-4ec3a3b77937"
"""The newest message of `CHAT`."""
SESSION: Final = "01a21423-bae4-7429-81f2-162e897e6051"
TOKEN: Final = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiI0OGRlOWJjMyJ9.c2lnbmF0dXJl"  # noqa: S105 - made up
TOTP_SECRET: Final = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"  # noqa: S105 - made up
CODE: Final = "492039"
"""Shows what a code of a second factor looks like."""
RECOVERY_CODE: Final = "w4kd-7xqm-2hzn-b5ty"
ACCESS_TOKEN: Final = f"messenger_pat_{'A' * 86}"
PROVIDER: Final = "example"
"""The id of a provider of identities."""
VISIT_URL: Final = (
    "https://accounts.example/authorize?response_type=code&client_id=messenger&state=q83vEjRWeJq83vEjRWeJqw"
)
CREDENTIAL: Final = {
    "id": "AAEC",
    "rawId": "AAEC",
    "type": "public-key",
    "response": {},
    "clientExtensionResults": {},
}
"""Shows what `PublicKeyCredential.toJSON()` returns, without the device's answer."""
SEALED: Final = "q83vEjRWeJqrze8SNFZ4mqvN7xI0VniaqM3vEjRWeJo"
KEY: Final = "2b1f0c9e-order-17"
MOMENT: Final = "2026-11-23T03:34:09.900840"
CURSOR: Final = "eyJzIjo0MTh9AAECAwQFBgcICQoLDA0ODxAREhM"
"""Shows what a cursor looks like. No server gave it out, so that resuming from it is a reset."""
