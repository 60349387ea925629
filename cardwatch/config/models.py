"""The whole configuration. The attribute names are the keys of ``config/config.yaml``.

The reference page, the JSON Schema and the comments of ``config/config.example.yaml`` are made from
the descriptions, types, ranges and defaults of the sections.
"""

from __future__ import annotations

from typing import Literal

from pydantic import SecretStr

from cardwatch.config.data_sections import (
    ContractConfig,
    DataSourceConfig,
    PortfolioConfig,
    ReportingWeekConfig,
    SslMode,
)
from cardwatch.config.method_sections import (
    DriftConfig,
    FeatureConfig,
    ModelConfig,
    RankingConfig,
    ReviewConfig,
)
from cardwatch.config.run_sections import (
    EngineConfig,
    LoggingConfig,
    MonitoringConfig,
    NotifyConfig,
    OutputConfig,
    ReportConfig,
)
from cardwatch.config.section import Section, setting


class Config(Section):
    """The whole configuration of a run, frozen.

    Examples
    --------
    >>> Config().model.contamination
    0.01
    """

    environment: Literal["development", "staging", "production"] = setting(
        "development",
        "Where this installation stands; shown in the log, the manifest and every message.",
    )
    portfolio: PortfolioConfig = PortfolioConfig()
    data_source: DataSourceConfig = DataSourceConfig()
    reporting_week: ReportingWeekConfig = ReportingWeekConfig()
    contract: ContractConfig = ContractConfig()
    feature_engineering: FeatureConfig = FeatureConfig()
    model: ModelConfig = ModelConfig()
    ranking: RankingConfig = RankingConfig()
    review: ReviewConfig = ReviewConfig()
    drift: DriftConfig = DriftConfig()
    output: OutputConfig = OutputConfig()
    report: ReportConfig = ReportConfig()
    logging: LoggingConfig = LoggingConfig()
    engine: EngineConfig = EngineConfig()
    monitoring: MonitoringConfig = MonitoringConfig()
    notify: NotifyConfig = NotifyConfig()

    @property
    def output_connection(self) -> tuple[SecretStr | None, SslMode | None]:
        """Where results are written to and how it is encrypted: the source's where not said."""
        source, database = self.data_source, self.output.database
        if database.connection_string and database.connection_string.get_secret_value():
            return database.connection_string, database.sslmode
        return source.connection_string, database.sslmode or source.sslmode
