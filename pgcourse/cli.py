"""The `pgcourse` command: one thin function per verb."""

import click


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pgcourse")
def main() -> None:
    """Policy gradient methods: a course whose every number is measured."""
