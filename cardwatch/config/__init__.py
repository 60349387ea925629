"""The configuration: its settings, how it is loaded, and how it is shown and documented."""

from cardwatch.config.catalog import Setting, config_schema, settings
from cardwatch.config.data_sections import (
    ContractConfig,
    DataSourceConfig,
    PortfolioConfig,
    ReportingWeekConfig,
)
from cardwatch.config.loading import LoadedConfig, load_config, read_config, restore_config
from cardwatch.config.method_sections import (
    DriftConfig,
    FeatureConfig,
    ModelConfig,
    RankingConfig,
    ReviewConfig,
    SignalRule,
)
from cardwatch.config.models import Config
from cardwatch.config.origin import Origin
from cardwatch.config.reference import (
    generated_files,
    render_config_example,
    render_config_reference,
)
from cardwatch.config.run_sections import (
    ChatConfig,
    EmailConfig,
    EngineConfig,
    LoggingConfig,
    MonitoringConfig,
    NotifyConfig,
    OutputConfig,
    OutputDatabaseConfig,
    ReportConfig,
    SmtpSecurity,
)
from cardwatch.config.view import (
    SettingRow,
    config_hash,
    describe,
    explain_setting,
    public_dict,
    result_settings,
    secret_values,
)

__all__ = [
    "ChatConfig",
    "Config",
    "ContractConfig",
    "DataSourceConfig",
    "DriftConfig",
    "EmailConfig",
    "EngineConfig",
    "FeatureConfig",
    "LoadedConfig",
    "LoggingConfig",
    "ModelConfig",
    "MonitoringConfig",
    "NotifyConfig",
    "Origin",
    "OutputConfig",
    "OutputDatabaseConfig",
    "PortfolioConfig",
    "RankingConfig",
    "ReportConfig",
    "ReportingWeekConfig",
    "ReviewConfig",
    "Setting",
    "SettingRow",
    "SignalRule",
    "SmtpSecurity",
    "config_hash",
    "config_schema",
    "describe",
    "explain_setting",
    "generated_files",
    "load_config",
    "public_dict",
    "read_config",
    "render_config_example",
    "render_config_reference",
    "restore_config",
    "result_settings",
    "secret_values",
    "settings",
]
