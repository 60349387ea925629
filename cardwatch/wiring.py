"""The one place where configuration becomes objects.

A new source, detector, sink or notifier is one file and one line in the tables here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cardwatch.cache import RollupCache
from cardwatch.config import Config
from cardwatch.contract import check_contract
from cardwatch.database.address import POSTGRESQL, DatabaseAddress
from cardwatch.detection.base import Detector
from cardwatch.detection.surprise import SurpriseDetector
from cardwatch.engine import Engine
from cardwatch.errors import ConfigurationError
from cardwatch.features.catalog import ABSENCE, CATALOG
from cardwatch.history import read_history, read_manifests
from cardwatch.notify.base import Notifier, ToldByAlerts
from cardwatch.notify.telling import Teller
from cardwatch.outdated import around
from cardwatch.pages import WeekPages
from cardwatch.pipeline import Check, Parts, Step
from cardwatch.publish.base import Pages, Sink
from cardwatch.publish.database import DatabaseSink
from cardwatch.publish.files import FileSink
from cardwatch.sources.base import Source
from cardwatch.sources.files import FilesSource


def _files(config: Config, engine: Engine) -> Source:
    return FilesSource(
        config.data_source,
        engine,
        timezone=config.portfolio.timezone,
        numbering=config.reporting_week.numbering,
    )


def _database(config: Config, engine: Engine) -> Source:
    # Imported when it is used: a run over files needs no database driver.
    from cardwatch.sources.dialects import database_source

    return database_source(
        config.data_source,
        engine,
        timezone=config.portfolio.timezone,
        numbering=config.reporting_week.numbering,
        has_cache=config.feature_engineering.use_cache,
    )


def _embedded(config: Config) -> Engine:
    settings = config.engine
    return Engine(
        memory_limit=settings.memory_limit,
        threads=settings.threads,
        temp_directory=settings.temp_directory,
        max_temp_directory_size=settings.max_temp_directory_size,
    )


def _spark(config: Config) -> Engine:
    # Imported when it is used: an extra brings what it needs.
    try:
        from cardwatch.spark import open_spark_engine

        return open_spark_engine(config.engine)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "engine.type: spark needs the extra spark",
            observed=f"no module {error.name}",
            next_step="pip install 'card-portfolio-anomaly-detection[spark]', or [spark-client]"
            " for Spark Connect",
        ) from error


def _in_spark(config: Config, engine: Engine) -> Source:
    from cardwatch.spark import SparkEngine, SparkSource

    if not isinstance(engine, SparkEngine):
        raise TypeError("rows in Spark are for the engine there")
    return SparkSource(config, engine)


def _scores_in_spark(place: str) -> Sink:
    from cardwatch.spark import SparkScores

    return SparkScores(place)


def _check_in_spark() -> Check:
    from cardwatch.spark import check_in_spark

    return check_in_spark


def _surprise(config: Config) -> Detector:
    return SurpriseDetector(config.model, CATALOG, {ABSENCE: config.model.absent_cap})


def _isolation_forest(config: Config) -> Detector:
    # Imported when it is used: scikit-learn's forests take a second to load.
    from cardwatch.detection.isolation_forest import IsolationForestDetector

    return IsolationForestDetector(config.model, CATALOG)


def _email(config: Config, alerts: ToldByAlerts) -> Notifier | None:
    from cardwatch.notify.mail_notifier import MailNotifier

    return MailNotifier(config.notify, alerts) if config.notify.email.enabled else None


def _chat(config: Config, alerts: ToldByAlerts) -> Notifier | None:
    # Imported when it is used: the library behind it knows a hundred services.
    from cardwatch.notify.chat_notifier import ChatNotifier

    return ChatNotifier(config.notify, alerts) if config.notify.chat.enabled else None


ENGINES: Mapping[str, Callable[[Config], Engine]] = {"embedded": _embedded, "spark": _spark}
CHECKS: Mapping[str, Callable[[], Check]] = {
    "embedded": lambda: check_contract,
    "spark": _check_in_spark,
}
SOURCES: Mapping[str, Mapping[str, Callable[[Config, Engine], Source]]] = {
    "embedded": {"files": _files, "database": _database},
    "spark": {"files": _in_spark, "table": _in_spark},
}
"""By the engine that reads them."""
DETECTORS: Mapping[str, Callable[[Config], Detector]] = {
    SurpriseDetector.name: _surprise,
    "isolation_forest": _isolation_forest,
}

NOTIFIERS: Mapping[str, Callable[[Config, ToldByAlerts], Notifier | None]] = {
    "email": _email,
    "chat": _chat,
}


def open_engine(config: Config) -> Engine:
    """Start the analytic engine with the configured limits."""
    return ENGINES[config.engine.type](config)


def open_source(config: Config, engine: Engine) -> Source:
    """Return the configured source.

    Raises
    ------
    ConfigurationError
        If the engine reads no source of the configured type.
    """
    kind, sources = config.data_source.type, SOURCES[config.engine.type]
    if kind not in sources:
        raise ConfigurationError(
            f"The {config.engine.type} engine reads no such source",
            where="data_source.type",
            observed=kind,
            expected=" or ".join(sources),
        )
    return sources[kind](config, engine)


def open_inquiry(config: Config, engine: Engine) -> Source:
    """Return the source for questions about weeks: rows are read when they are asked for."""
    cached = config.feature_engineering.model_copy(update={"use_cache": True})
    return open_source(config.model_copy(update={"feature_engineering": cached}), engine)


def open_detector(config: Config) -> Detector:
    """Return the configured detector."""
    return DETECTORS[config.model.detector](config)


def open_sinks(config: Config) -> list[Sink]:
    """Return the sinks that are turned on, in the order they write; files always are, first."""
    needs_json = config.notify.has_readers
    sinks: list[Sink] = [FileSink(config.output, pages=open_pages(config), needs_json=needs_json)]
    if config.output.database.enabled:
        sinks.append(open_database_sink(config))
    if config.engine.type == "spark" and (scores := config.engine.spark.scores):
        sinks.append(_scores_in_spark(scores.get_secret_value()))
    return sinks


def open_pages(config: Config) -> Pages | None:
    """Return what makes the pages for people; None where they are turned off."""
    return page_maker(config) if config.report.enabled else None


def page_maker(config: Config) -> Pages:
    """Return what makes the pages for people, whether or not runs write them."""
    return WeekPages(config)


def open_teller(
    config: Config, alerts: ToldByAlerts | None = None, *, again: bool = False
) -> Teller:
    """Return what tells notices through the notifiers that are turned on.

    `alerts` says who is told of a failure by an alert already; `again` tells receivers who were
    told already, too.
    """
    opened = (open_one(config, alerts or ToldByAlerts()) for open_one in NOTIFIERS.values())
    return Teller(
        config.output.directory,
        tuple(notifier for notifier in opened if notifier is not None),
        config.notify.attempts,
        config.notify.timeout_seconds,
        again,
    )


def open_database_sink(config: Config) -> DatabaseSink:
    """Return the database that results are written to, whether or not it is turned on."""
    return DatabaseSink(config.output, output_address(config))


def output_address(config: Config) -> DatabaseAddress:
    """Return where that database is.

    Raises
    ------
    ConfigurationError
        If none is configured, or it is not PostgreSQL.
    """
    text, sslmode = config.output_connection
    where = "output.database.connection_string"
    address = DatabaseAddress.parse(text or "", sslmode=sslmode, where=where)
    if address.dialect != POSTGRESQL:
        raise ConfigurationError(
            "Results can be written to PostgreSQL only",
            where=where,
            observed=address.dialect,
            expected=POSTGRESQL,
        )
    return address


def open_parts(config: Config, engine: Engine, source: Source, step: Step) -> Parts:
    """Build the objects of one run."""
    features, folder = config.feature_engineering, config.output.directory
    return Parts(
        engine=engine,
        source=source,
        history=lambda week: read_history(folder, week),
        published=lambda week: read_manifests(folder, around(week, features.reference_weeks)),
        detector=open_detector(config),
        cache=RollupCache(features.cache_dir) if features.use_cache else None,
        step=step,
        check=CHECKS[config.engine.type](),
    )
