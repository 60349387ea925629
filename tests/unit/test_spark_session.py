"""Sessions of Spark that cannot be opened: one line, at once, and no token in it."""

from __future__ import annotations

import pytest
from prometheus_programs import free_port

from cardwatch.config import EngineConfig
from cardwatch.config.run_sections import SparkConfig
from cardwatch.errors import ConfigurationError
from cardwatch.spark import open_spark_engine


def refused(master: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        open_spark_engine(EngineConfig(type="spark", spark=SparkConfig(master=master)))
    return caught.value


@pytest.mark.parametrize("master", ["sc://127.0.0.1:{port}", "sc://127.0.0.1:port"])
def test_a_connect_server_that_is_not_there_is_told_without_ten_minutes_of_trying(
    master: str,
) -> None:
    address = master.format(port=free_port())
    error = refused(address)
    assert error.observed == address
    assert "Spark Connect server" in error.next_step


def test_a_token_is_refused_where_manifests_would_show_it() -> None:
    error = refused("sc://spark.example.com:443/;use_ssl=true;token=geheim")
    assert "SPARK_REMOTE" in error.next_step
    assert "geheim" not in str(error)


def test_the_variable_may_hold_one_and_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_REMOTE", f"sc://127.0.0.1:{free_port()}/;token=geheim")
    error = refused("")
    assert error.observed == "the address in SPARK_REMOTE"
    assert "geheim" not in str(error)
