"""Messages without credentials."""

import re

# in a URL after the user's name; elsewhere, as in a mistyped URL, from a colon to an @
_BEFORE_AT = re.compile(r"([A-Za-z][\w+.-]*://[^\s:/@]*)?:(?!//[^\s:@]*@)\S*@")
_IN_QUERY = re.compile(r"(?i)\b(password|passwd|pwd)=[^&\s]+")


def hide_passwords(text: str) -> str:
    """The text with every password of a URL, before the host or in the query, as `***`."""
    return _IN_QUERY.sub(r"\1=***", _BEFORE_AT.sub(r"\1:***@", text))
