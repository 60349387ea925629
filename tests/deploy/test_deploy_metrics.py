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
from time import time
from typing import Any

import pytest
import yaml
from textfiles import (
    LABELLED,
    NAMES,
    fetch,
    free_port,
    health_metrics,
    program,
    run_metrics,
    started,
    until,
)

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


def test_rules_and_dashboard_read_the_metrics_that_there_are_and_the_examples_have_them_all() -> (
    None
):
    text = "".join([*(rule["expr"] for rule in rules()), *queries()])
    assert set(re.findall(r"cardwatch_[a-z_]+", text)) <= NAMES
    written = run_metrics(0) + health_metrics(0)
    shown = {
        name + ("{" + ",".join(re.findall(r"(\w+)=", labels)) + "}" if labels else "")
        for name, labels in re.findall(r"^(\w+)(\{.*\})? ", written, re.M)
    }
    assert shown == set(LABELLED)


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
    """A textfile folder, and the Prometheus and the webhook at the other end of the line."""

    textfiles: Path
    prometheus: str
    webhook: Webhook

    def write(self, name: str, text: str) -> None:
        new = self.textfiles / f"{name}.new"
        new.write_text(text, encoding="utf-8")
        new.rename(self.textfiles / name)

    def ask(self, query: str) -> list[Any]:
        answer = fetch(f"{self.prometheus}/api/v1/query", query=query)
        return list(answer["data"]["result"])


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[Watching]:
    exporter, prometheus, manager = free_port(), free_port(), free_port()
    textfiles = tmp_path / "textfile"
    textfiles.mkdir()
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
            yield Watching(textfiles, f"http://127.0.0.1:{prometheus}", webhook)


@pytest.mark.system
def test_every_panel_has_data_and_an_alert_reaches_the_webhook_and_is_resolved(
    watching: Watching,
) -> None:
    watching.write("cardwatch.prom", run_metrics(time()))
    watching.write("cardwatch_health.prom", health_metrics(time()))
    until(lambda: watching.ask("cardwatch_rows"), "Prometheus has scraped the run")
    until(lambda: watching.ask("cardwatch_health_status"), "Prometheus has scraped the checks")
    for query in queries():
        found = watching.ask(query.replace("$instance", ".*"))
        assert found, query
        assert all("NaN" not in each["value"] for each in found), query

    watching.write("cardwatch.prom", run_metrics(time(), success=False))
    until(lambda: watching.webhook.heard("CardwatchRunFailed", "firing"), "the alert")
    [alert] = [
        each for each in watching.webhook.received
        if each["labels"]["alertname"] == "CardwatchRunFailed"
    ][:1]  # fmt: skip
    assert alert["labels"]["severity"] == "critical"
    assert alert["annotations"]["runbook_url"].endswith("#cardwatchrunfailed")

    watching.write("cardwatch.prom", run_metrics(time()))
    until(lambda: watching.webhook.heard("CardwatchRunFailed", "resolved"), "the end of the alert")
    others = {each["labels"]["alertname"] for each in watching.webhook.received}
    assert others <= {"CardwatchRunFailed", "CardwatchHealthSilent", "CardwatchMissedRun"}
