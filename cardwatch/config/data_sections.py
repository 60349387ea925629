"""The settings of the portfolio, of its data, and of what that data must be like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, SecretStr, model_validator

from cardwatch.config.section import Section, setting
from cardwatch.config.values import (
    as_separator,
    expected,
    is_currency,
    is_date_format,
    is_distinct,
    is_encoding,
    is_path,
    is_query,
    is_rising,
    is_table_name,
    is_time_zone,
    table_parts,
)

ColumnName = Literal[
    "customer_id",
    "reporting_week",
    "mcc",
    "spend_amount",
    "transaction_count",
    "avg_ticket_amount",
    "transaction_time",
    "amount",
    "currency",
]


SslMode = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]
"""How a connection is encrypted and whose certificate is accepted, in PostgreSQL's words."""


class PortfolioConfig(Section):
    """The portfolio itself."""

    currency: Annotated[str, AfterValidator(is_currency)] = setting(
        "",
        "The account currency of every amount. Empty accepts any one currency, and quarantines"
        " rows in a second one.",
        unit="ISO 4217 code",
    )
    timezone: Annotated[str, AfterValidator(is_time_zone)] = setting(
        "UTC",
        "The time zone in which a transaction's time decides its week.",
        unit="IANA time zone name",
    )


class DataSourceConfig(Section):
    """Where spending comes from and how it is written there."""

    type: Literal["files", "database", "table"] = setting(
        "files",
        "Files (CSV, gzipped CSV, Parquet), a PostgreSQL database, or (engine.type: spark) a table"
        " of Spark's catalog.",
    )
    path: Annotated[str, BeforeValidator(is_path)] = setting(
        "datasamples",
        "For files: one file, a folder, a glob such as data/*.csv.gz, or a hive-partitioned folder."
        " A relative path starts at the working directory.",
        unit="path",
    )
    shape: Literal["auto", "weekly", "transactions"] = setting(
        "auto",
        "One row per customer, week and merchant category (weekly), one row per transaction, or"
        " whichever of the two the column names show.",
    )
    columns: Annotated[Mapping[ColumnName, str], AfterValidator(is_distinct)] = setting(
        {}, "Columns that have another name in the data: our name, then theirs."
    )
    date_format: Annotated[str, AfterValidator(is_date_format)] | None = setting(
        None,
        "How dates and times are written where they are text and not ISO 8601, such as %d.%m.%Y.",
        unit="strptime format",
    )
    delimiter: Annotated[str, BeforeValidator(as_separator)] | None = setting(
        None, "What separates the columns of a CSV file; null finds it out.", unit="one character"
    )
    encoding: Annotated[str, AfterValidator(is_encoding)] = setting(
        "utf-8", "The character encoding of CSV files.", unit="encoding name"
    )
    connection_string: SecretStr | None = setting(
        None,
        "For a database: its URL, postgresql://user:password@host:port/name. Never shown. Where it"
        " is not set, DB_HOST, DB_PORT, DB_NAME, DB_USER and DB_PASSWORD make it.",
        unit="URL",
        variable="DB_CONNECTION_STRING",
    )
    table: Annotated[str, AfterValidator(is_table_name)] = setting(
        "card_transactions",
        "For a database: the table or view to read, also as schema.table. Names are taken as they"
        " are, upper and lower case included; one with a dot in it is put into double quotes.",
        unit="table name",
    )
    schema_name: str | None = setting(
        None,
        "For a database: the schema of that table; null takes the first one of the user's search"
        " path that has it.",
        unit="schema name",
        alias="schema",
        min_length=1,
    )
    query: Annotated[str, AfterValidator(is_query)] | None = setting(
        None,
        "For a database: a SELECT to read in place of a table; its columns are those of a table.",
        unit="SQL",
    )
    sslmode: SslMode | None = setting(
        None,
        "For PostgreSQL: encryption, and whose certificate is accepted. sslmode in the URL has"
        " precedence; null requires encryption of every server that is not on this machine.",
        variable="DB_SSLMODE",
    )
    connect_timeout_seconds: float = setting(
        10.0,
        "For a database: how long a server may take to answer.",
        unit="seconds",
        gt=0,
        le=3_600,
    )
    statement_timeout_seconds: float = setting(
        1_800.0,
        "For a database: how long one statement may take; 0 is without limit.",
        unit="seconds",
        ge=0,
        le=86_400,
    )
    attempts: int = setting(
        4,
        "For a database: how often reading is tried where a fault may pass by itself, such as a"
        " connection that broke. A wrong password is tried once.",
        unit="attempts",
        ge=1,
        le=100,
    )
    roll_up: Literal["auto", "database", "engine"] = setting(
        "auto",
        "For a database of transactions: whether the database adds them up per customer, week and"
        " category, the engine does, or whichever costs less.",
    )

    @model_validator(mode="after")
    def _reads_one_thing(self) -> DataSourceConfig:
        if self.query is not None and (self.schema_name or self.table != "card_transactions"):
            raise expected("data_source.query or data_source.table, not both")
        if self.schema_name and len(table_parts(self.table)) > 1:
            raise expected("the schema in data_source.schema or in data_source.table, not both")
        return self


class ReportingWeekConfig(Section):
    """How weeks are numbered in source data and on display; file names keep the guide's labels."""

    numbering: Literal["guide", "iso"] = setting(
        "guide",
        "How a bare label such as 2025-46 in source data is read and how weeks are displayed:"
        " as date +%Y-%W (guide) or as ISO 8601 (iso).",
    )


class ContractConfig(Section):
    """What makes a delivered row, or a whole delivery, unfit to be scored."""

    max_quarantined_share: float = setting(
        0.05,
        "A delivery with a larger share of rows quarantined is unusable.",
        unit="share of delivered rows",
        ge=0,
        le=1,
    )
    volume_tolerance: float = setting(
        0.5,
        "A week whose row count lies further than this from what the reference weeks suggest is"
        " unusable: half a feed, or a feed twice.",
        unit="share of the expected rows",
        gt=0,
        le=100,
    )
    on_unusable: Literal["stop", "warn"] = setting(
        "stop", "What an unusable delivery does: stop the run with exit code 4, or warn and go on."
    )
    ids_are_tokens: bool = setting(
        False,
        "Declares that customer ids are surrogate tokens, so that digits that happen to look like"
        " card numbers do not stop the run.",
    )
    max_amount: float = setting(
        10_000_000.0,
        "An amount further from zero than this is absurd, and its row is quarantined.",
        unit="account currency, per row",
        gt=0,
    )
    max_id_length: int = setting(
        200, "A longer customer id is quarantined.", unit="characters", ge=1, le=100_000
    )
    unit_error_ratio: Annotated[tuple[float, float], AfterValidator(is_rising)] = setting(
        (60.0, 160.0),
        "An amount this many times the usual one of its customer and of its merchant category is"
        " taken for cents sent as whole units, and quarantined: from, to.",
        unit="multiple of the usual amount",
    )
