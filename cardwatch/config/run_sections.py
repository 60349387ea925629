"""The settings of what a run writes, logs, uses and tells."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, SecretStr

from cardwatch.config.data_sections import SslMode
from cardwatch.config.section import Section, SettingPath, setting
from cardwatch.config.values import (
    are_different,
    as_level,
    is_address_or_nothing,
    is_link,
    is_mail_address,
    is_size,
)

Size = Annotated[str, AfterValidator(is_size)]
MailAddresses = Annotated[
    tuple[Annotated[str, AfterValidator(is_mail_address)], ...], AfterValidator(are_different)
]
SmtpSecurity = Literal["starttls", "ssl", "none"]
"""How the connection to the mail server is encrypted."""


class OutputDatabaseConfig(Section):
    """The database that the results are written to as well, where Power BI reads them."""

    enabled: bool = setting(
        False, "Whether results are written to a PostgreSQL database, after the files."
    )
    connection_string: SecretStr | None = setting(
        None,
        "Its URL, postgresql://user:password@host:port/name. Never shown. Where it is not set, the"
        " results go to the database of data_source.connection_string.",
        unit="URL",
        variable="OUTPUT_DB_CONNECTION_STRING",
    )
    schema_name: str = setting(
        "public",
        "The schema of the tables and views.",
        unit="schema name",
        alias="schema",
        min_length=1,
        max_length=63,
    )
    scores: bool = setting(
        False, "Whether the scores of all customers are written, not only the list."
    )
    sslmode: SslMode | None = setting(
        None,
        "Encryption, and whose certificate is accepted; as data_source.sslmode, and the same where"
        " the results go to the same database.",
        variable="OUTPUT_DB_SSLMODE",
    )
    connect_timeout_seconds: float = setting(
        10.0, "How long the server may take to answer.", unit="seconds", gt=0, le=3_600
    )
    statement_timeout_seconds: float = setting(
        300.0,
        "How long one statement may take; 0 is without limit.",
        unit="seconds",
        ge=0,
        le=86_400,
    )
    attempts: int = setting(
        4,
        "How often writing is tried where a fault may pass by itself. A week is written whole or"
        " not at all.",
        unit="attempts",
        ge=1,
        le=100,
    )


class OutputConfig(Section):
    """What is written, where, and how long it stays."""

    directory: SettingPath = setting(
        Path("outputs"),
        "The folder of the lists, scores and run manifests.",
        unit="path",
        variable="OUTPUT_DIR",
    )
    format: Literal["csv", "json", "both"] = setting(
        "both",
        "How the list is written; scores and manifest are always written. With"
        " output.database.enabled the list is written as JSON too.",
    )
    keep_weeks: int = setting(
        13, "The newest weeks stay; older ones are packed into archive/.", unit="weeks", ge=1
    )
    retention_days: int = setting(
        90, "A packed week is deleted this long after it was packed.", unit="days", ge=0
    )
    lock_timeout_seconds: float = setting(
        60.0,
        "How long a run waits for another one in the same folder before it gives up.",
        unit="seconds",
        ge=0,
        le=86_400,
    )
    database: OutputDatabaseConfig = OutputDatabaseConfig()


class ReportConfig(Section):
    """The pages for people: one for each week, and the index that links them."""

    enabled: bool = setting(
        True,
        "Whether a run writes report_YYYY-WW.html and index.html.",
        variable="REPORT_ENABLED",
    )
    mask_ids: bool = setting(
        False, "Whether customer ids are shown there by their last three characters only."
    )


class LoggingConfig(Section):
    """What is logged, to standard error and to a file."""

    level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(as_level)
    ] = setting("INFO", "The least serious messages that are logged.", variable="LOG_LEVEL")
    file: SettingPath | None = setting(
        Path("logs/app.log"),
        "The log file; null logs to standard error alone.",
        unit="path",
    )
    max_size_mb: int = setting(
        100, "The file is rotated before it grows larger.", unit="megabytes (1,000,000 bytes)", ge=1
    )
    backup_count: int = setting(10, "Rotated files that are kept.", unit="files", ge=1, le=10_000)
    format: Literal["text", "json"] = setting(
        "text", "Lines for people, or one JSON object per line for machines."
    )


class SparkConfig(Section):
    """The Spark cluster that does the work, where engine.type is spark."""

    master: str = setting(
        "",
        "Where it is: spark://host:7077, yarn, k8s://…, local[2], or sc://host:15002 for Spark"
        " Connect. Empty is what spark-submit, the platform or SPARK_REMOTE says.",
        unit="URL",
    )
    partitions: int | None = setting(
        None,
        "In how many parts the customers are; null makes one for every million delivered rows.",
        unit="parts",
        ge=1,
        le=100_000,
    )
    scores: SecretStr | None = setting(
        None,
        "Where the executors write every customer's score as well: a folder (Parquet) or a JDBC URL"
        " (a table for each week, replaced as a whole). Never shown.",
        unit="folder or URL",
    )
    options: Mapping[str, str] = setting(
        {}, "Settings of the session, such as spark.executor.memory: 4g. Shown in the manifest."
    )


class EngineConfig(Section):
    """Where the work is done, and what it may use; changes no result."""

    type: Literal["embedded", "spark"] = setting(
        "embedded",
        "embedded does it on this machine, spark on a Spark cluster (the extra spark).",
    )
    memory_limit: Size = setting(
        "800MB", "Memory of the engine; what does not fit is spilled to disk.", unit="size"
    )
    threads: int | None = setting(
        None, "Worker threads; null uses every core.", unit="threads", ge=1, le=1024
    )
    temp_directory: SettingPath | None = setting(
        None,
        "The folder in which spill files are made; null uses the system's temporary folder.",
        unit="path",
    )
    max_temp_directory_size: Size = setting(
        "50GB", "How much may be spilled before the run stops.", unit="size"
    )
    spark: SparkConfig = SparkConfig()


class MonitoringConfig(Section):
    """Whether runs are watched, and from which severity someone is told."""

    enabled: bool = setting(False, "Whether runs are monitored.", variable="ENABLE_MONITORING")
    alert_threshold: Literal["info", "warn", "critical"] = setting(
        "warn", "The least serious finding that is sent as an alert.", variable="ALERT_THRESHOLD"
    )


class EmailConfig(Section):
    """The mail that readers of the list get."""

    enabled: bool = setting(
        False, "Whether `cardwatch run` mails a new list to its readers, and tells when it failed."
    )
    to: MailAddresses = setting((), "Who gets the list.", unit="mail addresses")
    sender: Annotated[str, AfterValidator(is_address_or_nothing)] = setting(
        "", "The address it comes from; empty is SMTP_USER.", unit="mail address"
    )
    on_failure: bool = setting(
        True,
        "Whether a short mail tells that a run failed. Who gets the alert about it gets no second"
        " mail.",
    )
    failure_to: MailAddresses = setting(
        (), "Who is told that a run failed; empty is notify.email.to.", unit="mail addresses"
    )
    attach: Literal["none", "csv"] = setting(
        "none", "Whether the list is attached as CSV; with notify.mask_ids its ids are masked."
    )
    details: int = setting(
        5,
        "How many customers are told with a chart and all their reasons; the others have a line.",
        unit="customers",
        ge=0,
        le=20,
    )
    charts: bool = setting(True, "Whether they have a chart of their weeks, as a picture inside.")


class ChatConfig(Section):
    """The short message to the chat channel of SLACK_WEBHOOK_URL."""

    enabled: bool = setting(
        False, "Whether `cardwatch run` tells the chat of a new list, and when it failed."
    )
    on_failure: bool = setting(
        True, "Whether it tells when a run failed; not where alerts go to the chat anyway."
    )


class NotifyConfig(Section):
    """The mail server and the chat channel, and what readers of the list are told there."""

    smtp_server: str = setting(
        "", "The mail server; empty sends no mail.", unit="host name", variable="SMTP_SERVER"
    )
    smtp_port: int = setting(
        587, "The mail server's port.", unit="port", variable="SMTP_PORT", ge=1, le=65_535
    )
    smtp_user: str = setting(
        "", "The account that sends mail, and its address.", variable="SMTP_USER"
    )
    smtp_password: SecretStr | None = setting(
        None, "That account's password. Never shown.", variable="SMTP_PASSWORD"
    )
    smtp_security: SmtpSecurity = setting(
        "starttls",
        "How the connection to the mail server is encrypted; none sends everything in the clear,"
        " the password too.",
    )
    slack_webhook_url: SecretStr | None = setting(
        None, "The Slack webhook. Never shown.", unit="URL", variable="SLACK_WEBHOOK_URL"
    )
    mask_ids: bool = setting(
        True,
        "Whether mail and chat show only the end of a customer's id; the rank on the list tells who"
        " it is.",
    )
    link: Annotated[str, AfterValidator(is_link)] = setting(
        "",
        "Where readers find the list or the report, as a link in mail and chat; {label} stands for"
        " the week's label.",
        unit="URL",
    )
    attempts: int = setting(
        3, "How often sending is tried where it may pass by itself.", unit="attempts", ge=1, le=10
    )
    timeout_seconds: float = setting(
        30.0,
        "How long sending may take in all, after which the run ends.",
        unit="seconds",
        gt=0,
        le=600,
    )
    email: EmailConfig = EmailConfig()
    chat: ChatConfig = ChatConfig()

    @property
    def has_readers(self) -> bool:
        """Whether anybody is told of a new list."""
        return self.email.enabled or self.chat.enabled
