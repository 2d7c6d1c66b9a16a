"""The command line as Markdown, from the parser that reads it."""

from __future__ import annotations

import argparse


def command_line() -> str:
    """A section a verb: what it does, its usage, its words and options."""
    from onlm_lab.arguments import parser

    top = parser()
    (verbs,) = [action for action in top._actions if isinstance(action, argparse._SubParsersAction)]
    helps = {choice.dest: choice.help for choice in verbs._choices_actions}
    parts = ["| verb | what it does |", "|---|---|"]
    parts += [f"| [`onlm {name}`](#onlm-{name}) | {_cell(helps[name])} |" for name in verbs.choices]
    parts += ["", str(top.epilog), ""]
    for name, verb in verbs.choices.items():
        parts += [f"## onlm {name}", "", str(verb.description), "", "```text", _usage(verb), "```", ""]
        parts += _options(verb)
    return "\n".join(parts)


def _usage(verb: argparse.ArgumentParser) -> str:
    verb.formatter_class = lambda prog: argparse.HelpFormatter(prog, width=90)
    return verb.format_usage().removeprefix("usage: ").rstrip()


def _options(verb: argparse.ArgumentParser) -> list[str]:
    shown = [a for a in verb._actions if a.help != argparse.SUPPRESS and a.dest != "help"]
    if not shown:
        return []
    rows = ["| word or option | |", "|---|---|"]
    formatter = argparse.HelpFormatter(verb.prog)
    for action in shown:
        said = formatter._expand_help(action) if action.help else ""
        said = f"{said}{' ' if said else ''}(needed)" if action.required and action.option_strings else said
        rows.append(f"| {_names(action, formatter)} | {_cell(said)} |")
    return [*rows, ""]


def _names(action: argparse.Action, formatter: argparse.HelpFormatter) -> str:
    if not action.option_strings:
        return f"`{action.metavar or action.dest}`"
    value = "" if action.nargs == 0 else " " + formatter._format_args(action, action.dest.upper())
    return ", ".join(f"`{name}{value}`".replace("|", "\\|") for name in action.option_strings)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
