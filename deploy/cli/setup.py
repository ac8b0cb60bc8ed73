"""`kizashi setup`: what the local stack needs beyond Python packages."""

import typer

from deploy.cli.common import progress
from deploy.local.provision import provision

app = typer.Typer()


@app.command()
def setup() -> None:
    """Fetch Kafka and prepare its quick start; does nothing where all is there. `make setup` makes the rest too."""
    provision(progress())
