"""The rules and the dashboard, on a real Prometheus that scraped a real node_exporter."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import cardwatch
from prometheus_programs import fetch, free_port, program, started, until
from small_portfolio import WEEK

from cardwatch.cli import health_main
from cardwatch.monitoring.health_checks import CHECKS
from cardwatch.monitoring.metrics import CATALOG, DRIFT_VALUES, PREFIX
from cardwatch.monitoring.settings import HealthSettings

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/prometheus/cardwatch.rules.yml"
DASHBOARD = ROOT / "deploy/grafana/dashboards/cardwatch.json"
RUNBOOK = ROOT / "docs/RUNBOOK.md"
ALERTS = ("MissedRun", "RunFailed", "StaleData", "QuarantineHigh", "VolumeDrop", "Drift", "DiskLow",
          "HealthSilent", "HealthFailing")  # fmt: skip


def rules() -> list[dict[str, Any]]:
    [group] = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return list(group["rules"])


def queries() -> list[str]:
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", [])]


def test_every_rule_has_a_severity_a_summary_and_a_page_in_the_runbook() -> None:
    assert [rule["alert"] for rule in rules()] == [f"Cardwatch{name}" for name in ALERTS]
    headings = re.findall(r"^### (\w+)$", RUNBOOK.read_text(encoding="utf-8"), re.M)
    for rule in rules():
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"]["summary"] and rule["annotations"]["description"]
        page = rule["annotations"]["runbook_url"]
        assert page.endswith(f"/docs/RUNBOOK.md#{rule['alert'].lower()}")
        assert rule["alert"] in headings


def test_every_check_and_every_alert_has_a_page_in_the_runbook() -> None:
    headings = re.findall(r"^### (.+)$", RUNBOOK.read_text(encoding="utf-8"), re.M)
    assert set(CHECKS) <= set(headings)
    assert {f"Cardwatch{name}" for name in ALERTS} == {
        heading for heading in headings if heading.startswith("Cardwatch")
    }


def test_rules_and_dashboard_read_metrics_and_labels_that_there_are() -> None:
    known = {PREFIX + metric.name: {*metric.labels, "instance"} for metric in CATALOG}
    for text in [*(rule["expr"] for rule in rules()), *queries()]:
        for name, selected in re.findall(r"(cardwatch_[a-z_]+)(?:\{(.*?)\})?", text):
            assert set(re.findall(r"(\w+)[=!]", selected)) <= known[name], text
    shown = {name for text in queries() for name in re.findall(r"cardwatch_[a-z_]+", text)}
    assert shown == set(known) - {"cardwatch_last_run_timestamp_seconds"}


def test_the_rules_hold_what_the_health_check_holds() -> None:
    health = HealthSettings()
    limits = {rule["alert"]: float(rule["expr"].split()[-1]) for rule in rules()
              if rule["alert"] not in ("CardwatchMissedRun", "CardwatchHealthSilent")}  # fmt: skip
    assert limits["CardwatchQuarantineHigh"] == health.quarantine_warn_share
    assert limits["CardwatchVolumeDrop"] == health.volume_warn_ratio
    assert limits["CardwatchDrift"] == DRIFT_VALUES["shifted"]
    assert health.drift_fail_psi is None, "the health check and the rule would judge by two limits"
    assert limits["CardwatchDiskLow"] == health.disk_warn_gb * 1e9


def test_every_rule_is_tested_firing_and_not_firing() -> None:
    text = (RULES.parent / "tests/cardwatch.test.yml").read_text(encoding="utf-8")
    expected: dict[str, set[bool]] = {}
    for case in yaml.safe_load(text)["tests"]:
        for test in case["alert_rule_test"]:
            expected.setdefault(test["alertname"], set()).add(bool(test["exp_alerts"]))
    assert expected == {f"Cardwatch{name}": {True, False} for name in ALERTS}


def test_the_dashboard_asks_first_whether_it_is_fresh_and_takes_its_data_source_as_a_variable() -> (
    None
):
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    panels = dashboard["panels"]
    assert panels[0]["title"] == "Is it fresh?"
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        for target in panel.get("targets", []):
            assert target["datasource"]["uid"] == "${datasource}"
            assert "$instance" in target["expr"]
    assert [each["name"] for each in dashboard["templating"]["list"]] == ["datasource", "instance"]


@pytest.mark.system
def test_promtool_and_amtool_accept_rules_tests_and_examples(tmp_path: Path) -> None:
    deploy = ROOT / "deploy"
    for words in (
        ("promtool", "check", "rules", "prometheus/cardwatch.rules.yml"),
        ("promtool", "test", "rules", "prometheus/tests/cardwatch.test.yml"),
        ("promtool", "check", "config", "--syntax-only", "prometheus/prometheus.example.yml"),
        ("amtool", "check-config", "alertmanager/alertmanager.example.yml"),
    ):
        done = subprocess.run(
            [program(words[0]), *words[1:]], cwd=deploy, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ("alertname=CardwatchMissedRun severity=critical", "on-duty"),
        ("alertname=CardwatchDrift severity=warning", "mail"),
    ],
)
@pytest.mark.system
def test_critical_alerts_go_to_whoever_is_on_duty(labels: str, receiver: str) -> None:
    example = str(ROOT / "deploy/alertmanager/alertmanager.example.yml")
    words = [program("amtool"), "config", "routes", "test", f"--config.file={example}"]
    words += [f"--verify.receivers={receiver}", *labels.split()]
    assert subprocess.run(words, capture_output=True).returncode == 0


@dataclass
class Webhook:
    """An endpoint that keeps what the Alertmanager posts."""

    port: int = 0
    received: list[dict[str, Any]] = field(default_factory=list)

    def __enter__(self) -> Webhook:
        kept = self.received

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                kept.extend(json.loads(body)["alerts"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def heard(self, alert: str, status: str) -> bool:
        return any(
            each["labels"]["alertname"] == alert and each["status"] == status
            for each in self.received
        )


@dataclass
class Watching:
    """An installation that is watched, and the Prometheus and the webhook at the other end."""

    folder: Path
    prometheus: str
    webhook: Webhook

    def run(self, week: str, code: int = 0) -> None:
        words = ("run", "--source", "data", "--reporting-week", week)
        cardwatch(self.folder, *words, code=code, ENABLE_MONITORING="true")

    def ask(self, query: str) -> list[Any]:
        answer = fetch(f"{self.prometheus}/api/v1/query", query=query)
        return list(answer["data"]["result"])


@pytest.fixture
def watching(tmp_path: Path, portfolio: Path) -> Iterator[Watching]:
    exporter, prometheus, manager = free_port(), free_port(), free_port()
    textfiles = tmp_path / "textfile"
    textfiles.mkdir()
    (tmp_path / "data").symlink_to(portfolio)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "monitoring_config.yaml").write_text(
        "metrics: {textfile_directory: textfile}\n"
    )
    example = yaml.safe_load((RULES.parent / "prometheus.example.yml").read_text(encoding="utf-8"))
    example["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    [scrape] = example["scrape_configs"]
    scrape["static_configs"] = [{"targets": [f"127.0.0.1:{exporter}"]}]
    [alertmanager] = example["alerting"]["alertmanagers"]
    alertmanager["static_configs"] = [{"targets": [f"127.0.0.1:{manager}"]}]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(example))
    # The rules as they are, but for how long each has to hold.
    quick = re.sub(r"for: \w+", "for: 1s", RULES.read_text(encoding="utf-8"))
    (tmp_path / RULES.name).write_text(quick, encoding="utf-8")
    with Webhook() as webhook:
        routes = {
            "global": {"resolve_timeout": "5s"},
            "route": {"receiver": "hook", "group_wait": "1s", "group_interval": "1s"},
            "receivers": [
                {
                    "name": "hook",
                    "webhook_configs": [{"url": f"http://127.0.0.1:{webhook.port}/"}],
                }
            ],
        }
        (tmp_path / "alertmanager.yml").write_text(yaml.safe_dump(routes))
        with (
            started(
                tmp_path,
                program("prometheus-node-exporter"),
                "--collector.disable-defaults",
                "--collector.textfile",
                f"--collector.textfile.directory={textfiles}",
                f"--web.listen-address=127.0.0.1:{exporter}",
            ),
            started(
                tmp_path,
                program("prometheus-alertmanager"),
                "--config.file=alertmanager.yml",
                f"--storage.path={tmp_path / 'alertmanager'}",
                f"--web.listen-address=127.0.0.1:{manager}",
                "--cluster.listen-address=",
            ),
            started(
                tmp_path,
                program("prometheus"),
                "--config.file=prometheus.yml",
                f"--storage.tsdb.path={tmp_path / 'prometheus'}",
                f"--web.listen-address=127.0.0.1:{prometheus}",
            ),
        ):
            yield Watching(tmp_path, f"http://127.0.0.1:{prometheus}", webhook)


@pytest.mark.system
def test_every_panel_has_data_and_an_alert_reaches_the_webhook_and_is_resolved(
    watching: Watching,
) -> None:
    for week in (*WEEK.window(3), WEEK):  # features are compared with three weeks before
        watching.run(week.label)
    cardwatch(
        watching.folder, "--source", "data", code=1, entry=health_main, ENABLE_MONITORING="true"
    )
    until(lambda: watching.ask("cardwatch_rows"), "Prometheus has scraped the run")
    until(lambda: watching.ask("cardwatch_health_status"), "Prometheus has scraped the checks")
    for query in queries():
        found = watching.ask(query.replace("$instance", ".*"))
        assert found, query
        assert all("NaN" not in each["value"] for each in found), query

    watching.run("2019-10", code=3)
    until(lambda: watching.webhook.heard("CardwatchRunFailed", "firing"), "the alert")
    [alert] = [
        each for each in watching.webhook.received
        if each["labels"]["alertname"] == "CardwatchRunFailed"
    ][:1]  # fmt: skip
    assert alert["labels"]["severity"] == "critical"
    assert alert["annotations"]["runbook_url"].endswith("#cardwatchrunfailed")

    watching.run(WEEK.label)
    until(lambda: watching.webhook.heard("CardwatchRunFailed", "resolved"), "the end of the alert")
    # The portfolio is of last year; before the first run there is nothing.
    others = {each["labels"]["alertname"] for each in watching.webhook.received}
    assert others - {"CardwatchHealthSilent", "CardwatchMissedRun"} == {
        "CardwatchRunFailed", "CardwatchStaleData",
    }  # fmt: skip


@pytest.mark.system
def test_a_pushgateway_takes_what_a_run_and_a_health_check_push(
    tmp_path: Path, portfolio: Path
) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "data").symlink_to(portfolio)
    port = free_port()
    gateway = f"http://127.0.0.1:{port}"
    (tmp_path / "config" / "monitoring_config.yaml").write_text(
        f'metrics: {{pushgateway: "{gateway}"}}\n'
    )
    server = program("prometheus-pushgateway")
    with started(tmp_path, server, f"--web.listen-address=127.0.0.1:{port}"):
        until(lambda: fetch(f"{gateway}/-/ready"), "the gateway is ready")
        words = ("--source", "data")
        on: dict[str, Any] = {"ENABLE_MONITORING": "true"}
        run = cardwatch(tmp_path, "run", *words, "--reporting-week", WEEK.label, **on)
        check = cardwatch(tmp_path, *words, code=1, entry=health_main, **on)
        assert "Monitoring: " not in run.err + check.err
        pushed = fetch(f"{gateway}/metrics")
    assert re.search(r'^cardwatch_last_run_success\{.*job="cardwatch".*\} 1$', pushed, re.M)
    assert re.search(
        r'^cardwatch_health_status\{check="disk",.*job="cardwatch_health"', pushed, re.M
    )
