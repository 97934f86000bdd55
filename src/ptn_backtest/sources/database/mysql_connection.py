"""A connection to MySQL or MariaDB that reads no certificates where it is to check none.

PyMySQL uses TLS where the server has it, and checks the server's certificate only if it is told to.
It reads all certificates of the system either way, 20 ms for each connection.
"""

import ssl
from functools import cache
from typing import Any

from pymysql.connections import Connection


class MySQLConnection(Connection):  # type: ignore[misc] # untyped
    """PyMySQL's connection; TLS that nobody asked for has one context for all connections."""

    def _create_ssl_ctx(self, sslp: Any) -> ssl.SSLContext:  # noqa: ANN401 - options, or a context
        return _unchecked() if sslp == {} else super()._create_ssl_ctx(sslp)


@cache
def _unchecked() -> ssl.SSLContext:
    """TLS as PyMySQL's without options: encrypted, the certificate not checked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
