"""Where the API stands."""

from __future__ import annotations

#: The prefix of every command endpoint and every query.
API = "/api/v1"
