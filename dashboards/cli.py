"""`prediction-dashboards`: the command line. Exit status 0 done, 1 failed or stale, 2 wrong usage or configuration."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from dashboards import build as builder
from exporter.config import load_config
from exporter.errors import PredictionExporterError

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)


ConfigFile = Annotated[Path, typer.Option(help="The exporter's configuration file.")]
ScrapeInterval = Annotated[str, typer.Option(help="How often Prometheus scrapes; panels' rates hold four scrapes.")]


@app.callback()
def _program() -> None:
    """Grafana dashboards as code, from the exporter's configuration."""


@app.command()
def build(
    config: ConfigFile,
    out: Annotated[Path, typer.Option(help="Folder of the generated JSON files.")] = Path("dashboards/generated"),
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail if a file is not up to date.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Write the dashboards of a configuration as JSON."""
    settings = load_config(config)
    paths = builder.check(settings, out) if check else builder.write(settings, out)
    for path in paths:
        typer.echo(f"{path}: {'up to date' if check else 'written'}")


@app.command()
def provision(
    config: ConfigFile,
    url: Annotated[str, typer.Option(help="Grafana's URL.")],
    token_file: Annotated[Path | None, typer.Option(help="File with the token; else GRAFANA_TOKEN holds it.")] = None,
    prometheus_url: Annotated[str | None, typer.Option(help="Also make a data source of this Prometheus.")] = None,
    scrape_interval: ScrapeInterval = "15s",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,  # noqa: FBT002 - a flag
    force: Annotated[bool, typer.Option("--force", help="Overwrite what a person changed.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Push data source, folder and dashboards to a Grafana, showing each difference first."""
    from dashboards.grafana import Grafana, read_token
    from dashboards.provision import provision as bring
    from dashboards.provision import source_of

    wanted = builder.dashboards(load_config(config))
    source = source_of(prometheus_url, scrape_interval) if prometheus_url else None
    for line in bring(Grafana(url, read_token(token_file)), wanted, source, dry_run=dry_run, force=force):
        typer.echo(line)


@app.command()
def files(
    config: ConfigFile,
    out: Annotated[Path, typer.Option(help="Folder of the tree.")],
    prometheus_url: Annotated[str, typer.Option(help="Prometheus, as Grafana reaches it.")],
    scrape_interval: ScrapeInterval = "15s",
) -> None:
    """Write a tree for Grafana's file provisioning."""
    from dashboards.export import file_tree, write_tree

    for path in write_tree(file_tree(load_config(config), prometheus_url, scrape_interval), out):
        typer.echo(f"{path}: written")


@app.command()
def configmap(
    config: ConfigFile,
    namespace: Annotated[str, typer.Option(help="Where Grafana's sidecar looks for dashboards.")] = "monitoring",
) -> None:
    """Print Kubernetes ConfigMaps for Grafana's dashboard sidecar."""
    from dashboards.export import config_maps

    typer.echo(config_maps(load_config(config), namespace), nl=False)


def main() -> None:
    """Run the command; problems go to standard error as sentences."""
    try:
        app()
    except PredictionExporterError as error:
        typer.echo(f"prediction-dashboards: {error}", err=True)
        sys.exit(error.exit_status)
