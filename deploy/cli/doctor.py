"""`kizashi doctor`: is this machine fit, is the set-up whole?"""

from dataclasses import asdict

import typer

from deploy.cli.common import DEFAULT_DATA_DIR, FAILED, DataDir, Json, print_json
from deploy.local.checks import Finding, run_checks
from deploy.local.paths import DataFolder

app = typer.Typer()


@app.command()
def doctor(data_dir: DataDir = DEFAULT_DATA_DIR, as_json: Json = False) -> None:
    """Check machine and set-up, and say what to do; exit code 1 if something would keep the stack from working."""
    findings = []
    for finding in run_checks(DataFolder.at(data_dir)):
        findings.append(finding)
        if not as_json:
            _print(finding)
    if as_json:
        print_json({"checks": [asdict(finding) for finding in findings]})
    if any(finding.level == "fail" for finding in findings):
        raise typer.Exit(FAILED)


def _print(finding: Finding) -> None:
    colour = {"ok": typer.colors.GREEN, "warn": typer.colors.YELLOW, "fail": typer.colors.RED}[finding.level]
    typer.echo(f"{typer.style(f'{finding.level:<5}', fg=colour)} {finding.check:<12} {finding.detail}")
    if finding.advice:
        typer.echo(f"{'':<18} → {finding.advice}")
