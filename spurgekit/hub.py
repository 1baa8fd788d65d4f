"""The Hugging Face Hub: whether it can be reached, and its errors as ours."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlparse
from urllib.request import getproxies

from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, RevisionNotFoundError

from spurgekit.errors import InputError, SpurgekitError
from spurgekit.text import shown

CONNECT_S = 5.0

HTTP_ERROR: type[BaseException] = HfHubHTTPError.__mro__[1]
"""Root of the errors of the HTTP library that the Hub's client uses, whichever that is."""


class HubError(SpurgekitError):
    """The Hub cannot be reached, or refuses."""


@contextmanager
def quick_offline() -> Iterator[None]:
    """Without a connection, look into the Hub's cache at once instead of after a minute of retries."""
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not _reaches(constants.ENDPOINT)
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


@contextmanager
def hub_errors(
    repo: str,
    offline: str = "try again online",
    *,
    log_in: str = "log in with 'hf auth login', or pass `token`",
    revision: str | None = None,
) -> Iterator[None]:
    """Raise what the Hub's client raises as one line that says what to do.

    Parameters
    ----------
    repo : str
        The repository, for messages.
    offline : str
        What to do without a connection.
    log_in : str
        What to do where the Hub does not know the user.
    revision : str, optional
        That is asked for.
    """
    try:
        yield
    except HFValidationError as error:
        raise InputError(f"{repo!r} is no name of a repository; pass OWNER/NAME") from error
    except HfHubHTTPError as error:
        if revision is not None and isinstance(error, RevisionNotFoundError):
            raise HubError(f"{repo} has no branch, tag or commit {shown(revision)}; pass another revision") from error
        status = error.response.status_code
        hint = log_in if status in (401, 403) else "is the name right?"
        raise HubError(f"the Hub refuses {repo} (status {status}); {hint}") from error
    except (LocalEntryNotFoundError, HTTP_ERROR, ConnectionError) as error:
        raise HubError(f"the Hub cannot be reached for {repo}; {offline}") from error


def _reaches(address: str) -> bool:
    if getproxies():  # only the proxy could tell
        return True
    url = urlparse(address)
    try:
        socket.create_connection((url.hostname or "", url.port or 443), CONNECT_S).close()
    except OSError:
        return False
    return True
