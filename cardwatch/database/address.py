"""Where a database is: its URL read once, and written again for every driver.

Passwords stay inside: nothing of an address is shown but `DatabaseAddress.origin`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pydantic import SecretStr

from cardwatch.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy import URL

POSTGRESQL = "postgresql"
_SCHEMES = ("postgresql", "postgres")
_FORM = "postgresql://user:password@host:port/name"
_ENCODE = "Characters such as @ / : % in a password are written %40 %2F %3A %25, or set DB_PASSWORD"


@dataclass(frozen=True)
class DatabaseAddress:
    """A database, as a connection string names it.

    Attributes
    ----------
    dialect : str
        ``postgresql``, or the name of another SQLAlchemy dialect.
    host : str
        Host names, addresses or socket folders, several with commas; empty where there is none.
    port, name, user : str
        As given; `user` is empty where the operating system's is meant.
    sslmode : str
        The mode in force (PostgreSQL only).
    """

    dialect: str
    host: str
    port: str
    name: str
    user: str
    sslmode: str = ""
    _parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    _url: Any = field(default=None, repr=False)

    @classmethod
    def parse(
        cls, text: SecretStr | str, *, sslmode: str | None = None, where: str = ""
    ) -> DatabaseAddress:
        """Read a connection string.

        Parameters
        ----------
        text : SecretStr or str
            A URL, or for PostgreSQL also ``host=… dbname=…``.
        sslmode : str, optional
            The configured mode; one in the URL has precedence. Without either, encryption is
            required of every server that is not on this machine.
        where : str
            The setting that holds it, for the error.

        Raises
        ------
        ConfigurationError
            If it cannot be understood, or names no database. Nothing of it is repeated.

        Examples
        --------
        >>> DatabaseAddress.parse("postgresql://reader:secret@db.bank.com/cards").origin
        'database cards on db.bank.com:5432'
        """
        secret = (text.get_secret_value() if isinstance(text, SecretStr) else text).strip()
        scheme, separator, rest = secret.partition("://")
        dialect = scheme.lower().partition("+")[0]
        if separator and dialect not in _SCHEMES:
            return _of_sqlalchemy(secret, where)
        if separator:
            _refuse_raw_signs(rest, where)
            secret = f"{POSTGRESQL}://{rest}"
        return _of_postgresql(_libpq_parameters(secret, where), sslmode, where)

    @property
    def is_loopback(self) -> bool:
        """Whether every host is this machine: a loopback address, or a socket in a folder."""
        hosts = self._parameters.get("hostaddr") or self.host
        return all(_is_this_machine(host) for host in hosts.split(","))

    @property
    def origin(self) -> str:
        """Name the database for people: no user, no password."""
        place = f" on {_hosts(self.host, self.port)}" if self.host else ""
        kind = "database" if self.dialect == POSTGRESQL else f"{self.dialect} database"
        return f"{kind} {self.name}".rstrip() + place

    @property
    def password(self) -> str:
        """The password, for masking it; empty where there is none."""
        if self.dialect == POSTGRESQL:
            return self._parameters.get("password", "")
        return str(self._url.password or "")

    def dsn(self, **extra: str) -> str:
        """Return libpq's ``key=value`` form, with the password, for psycopg."""
        from psycopg.conninfo import make_conninfo

        return make_conninfo("", **self._with(extra))

    def uri(self, **extra: str) -> str:
        """Return libpq's URI form, with the password, for ADBC."""
        parts = (f"{key}={quote(value, safe='')}" for key, value in self._with(extra).items())
        return f"{POSTGRESQL}:///?{'&'.join(parts)}"

    @property
    def sqlalchemy_url(self) -> URL:
        """The URL for SQLAlchemy, with the password; PostgreSQL through psycopg."""
        from sqlalchemy import URL

        if self.dialect != POSTGRESQL:
            url: URL = self._url
            return url
        return URL.create(f"{POSTGRESQL}+psycopg", query={**self._with({})})

    def _with(self, extra: Mapping[str, str]) -> dict[str, str]:
        options = " ".join(filter(None, (self._parameters.get("options"), extra.get("options"))))
        return {**self._parameters, **extra, **({"options": options} if options else {})}


def _of_postgresql(parameters: dict[str, str], sslmode: str | None, where: str) -> DatabaseAddress:
    defaults = _libpq_defaults()
    if not (parameters.get("dbname") or parameters.get("service") or defaults.get("dbname")):
        raise _unusable("names no database", where)
    port = parameters.get("port", "")
    if not all(
        not each or (each.isdecimal() and 0 < int(each) < 65_536) for each in port.split(",")
    ):
        raise _unusable("has a port that is none", where, expected="a port from 1 to 65535")
    address = DatabaseAddress(
        dialect=POSTGRESQL,
        host=parameters.get("host") or parameters.get("hostaddr") or defaults.get("host", ""),
        port=port or defaults.get("port", ""),
        name=parameters.get("dbname") or defaults.get("dbname", "") or "of the service",
        user=parameters.get("user", ""),
        _parameters=parameters,
    )
    mode = parameters.get("sslmode") or sslmode or _default_mode(address, parameters)
    values = {**address.__dict__, "sslmode": mode, "_parameters": {**parameters, "sslmode": mode}}
    return DatabaseAddress(**values)


def _default_mode(address: DatabaseAddress, parameters: Mapping[str, str]) -> str:
    if parameters.get("sslrootcert") == "system":
        return "verify-full"  # libpq refuses any other with the system's certificates
    is_remote = not address.is_loopback or "service" in parameters
    return "require" if is_remote else "prefer"


def _libpq_parameters(secret: str, where: str) -> dict[str, str]:
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        return {key: str(value) for key, value in conninfo_to_dict(secret).items() if value}
    except (ProgrammingError, UnicodeError):
        # libpq's own message quotes parts of the text, which may be the password.
        raise _unusable("cannot be understood", where) from None


def _libpq_defaults() -> dict[str, str]:
    """Return what libpq takes where nothing is said, such as PGHOST's value."""
    from psycopg.pq import Conninfo

    return {
        option.keyword.decode(): option.val.decode(errors="replace")
        for option in Conninfo.get_defaults()
        if option.val
    }


def _of_sqlalchemy(secret: str, where: str) -> DatabaseAddress:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(secret)
    except (ArgumentError, ValueError):
        raise _unusable("cannot be understood", where) from None
    return DatabaseAddress(
        dialect=url.get_backend_name(),
        host=url.host or "",
        port=str(url.port or ""),
        name=url.database or "",
        user=url.username or "",
        _url=url,
    )


def _refuse_raw_signs(rest: str, where: str) -> None:
    """Refuse a password whose own signs would end it early: the pieces would be shown as names."""
    authority = rest.partition("/")[0]
    if authority.count("@") > 1 or "@" in rest[len(authority) :].partition("?")[0]:
        raise _unusable("has more than one @", where)


def _unusable(problem: str, where: str, expected: str = _FORM) -> ConfigurationError:
    return ConfigurationError(
        f"The connection string {problem}", where=where, expected=expected, next_step=_ENCODE
    )


def _is_this_machine(host: str) -> bool:
    if not host or host[0] in "/@" or host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _hosts(hosts: str, ports: str) -> str:
    """Pair hosts with ports as libpq does: one port for all, or one each."""
    names, numbers = hosts.split(","), ports.split(",")
    if len(numbers) != len(names):
        numbers = [numbers[0]] * len(names)
    return ", ".join(
        host if host.startswith("/") else f"{f'[{host}]' if ':' in host else host}:{port or 5432}"
        for host, port in zip(names, numbers, strict=True)
    )
