"""`firstread up`, `down`, `status`, `logs` and `demo`: the pipeline on this machine."""

import json
import signal
import time
from dataclasses import replace
from typing import Annotated

import typer
from rich.table import Table

from firstread import terminal
from firstread.local.home import Home, Ports
from firstread.local.logs import follow
from firstread.local.place import StateDirectory, console, home_of, told
from firstread.local.run import ENGINE, saved_ports
from firstread.local.run import down as stop_everything
from firstread.local.run import up as start_everything
from firstread.local.status import Status, component_states, status

EnginePort = Annotated[
    int | None, typer.Option(min=1, max=65535, help="Loopback port of the local AWS engine (4566).")
]
PortalPort = Annotated[int | None, typer.Option(min=1, max=65535, help="Loopback port of the portal (8080).")]
IngestPort = Annotated[
    int | None, typer.Option(min=1, max=65535, help="Loopback port of the ingest service (8081).")
]
IdentityPort = Annotated[
    int | None, typer.Option(min=1, max=65535, help="Loopback port of the identity provider (8082).")
]


def _ports(home: Home, **chosen: int | None) -> Ports:
    return replace(saved_ports(home), **{name: port for name, port in chosen.items() if port is not None})


def _say(text: str) -> None:
    console.print(f"[dim]-[/dim] {text}", highlight=False)


def up(
    home: StateDirectory = None,
    engine_port: EnginePort = None,
    portal_port: PortalPort = None,
    ingest_port: IngestPort = None,
    identity_port: IdentityPort = None,
) -> None:
    """Start the pipeline on this machine, or update and resume it."""
    with told():
        where = home_of(home)
        ports = _ports(
            where, engine=engine_port, portal=portal_port, ingest=ingest_port, identity=identity_port
        )
        start_everything(where, ports, _say)
        from firstread.demo.show import show_portal

        show_portal(console, where, saved_ports(where))


def down(home: StateDirectory = None) -> None:
    """Stop the pipeline; everything is kept and `up` resumes it."""
    with told():
        stop_everything(home_of(home), _say)


def show_status(
    home: StateDirectory = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what runs, what waits and what is stuck; exit code 1 if something is wrong."""
    with told():
        found = status(home_of(home))
    if as_json:
        typer.echo(json.dumps({**found.__dict__, "problems": found.problems}))
    else:
        _print_status(found)
    if found.problems:
        raise typer.Exit(1)


def _print_status(found: Status) -> None:
    table = Table("component", "state")
    colours = {"running": "green", "dead": "red", "stopped": "dim"}
    for name, state in found.components.items():
        table.add_row(name, f"[{colours[state]}]{state}[/]")
    console.print(table)
    if found.waiting:
        queues = Table("queue", "waiting", "dead letters")
        for name in sorted(found.waiting | found.dead_letters):
            dead = found.dead_letters.get(name, 0)
            queues.add_row(name, str(found.waiting.get(name, "")), f"[red]{dead}[/]" if dead else "0")
        console.print(queues)
        console.print(f"ledger: {found.pending} pending, {found.quarantined} in quarantine")
    for problem in found.problems:
        terminal.complain(problem)


def logs(
    home: StateDirectory = None,
    once: Annotated[bool, typer.Option(help="Print what is there and end.")] = False,
) -> None:
    """Follow the logs of all components and functions."""
    with told():
        try:
            for line in follow(home_of(home), once=once):
                console.print(f"[cyan]{line.component:>12}[/cyan] ", end="")
                console.out(line.text, highlight=False)
        except KeyboardInterrupt:
            return


def demo(
    home: StateDirectory = None,
    once: Annotated[bool, typer.Option(help="End by itself; exit code 0 if all is accounted for.")] = False,
    engine_port: EnginePort = None,
    portal_port: PortalPort = None,
    ingest_port: IngestPort = None,
    identity_port: IdentityPort = None,
) -> None:
    """Start the pipeline, send real sample files through it and show what happens."""
    from firstread.demo.show import run, show_portal

    where = home_of(home)
    complete = False
    ran_before = component_states(where)[ENGINE] == "running"
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stop as cleanly as on Ctrl-C
    with told():
        ports = _ports(
            where, engine=engine_port, portal=portal_port, ingest=ingest_port, identity=identity_port
        )
        try:
            start_everything(where, ports, _say)
            complete = run(console, where)
            show_portal(console, where, saved_ports(where))
            if not once:
                console.print("running until Ctrl-C")
                _wait_for_interrupt()
        except KeyboardInterrupt:
            if once:
                terminal.complain("interrupted before the end")
        finally:
            if ran_before:
                _say("it ran before the demonstration and goes on running")
            else:
                stop_everything(where, _say)
    raise typer.Exit(0 if complete else 1)


def _wait_for_interrupt() -> None:
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        return
