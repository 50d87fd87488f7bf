"""A script that lets a shell complete commands and options: eval "$(sluice completion bash)" in its start file."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from sluice.cli import COMMANDS, DONE, parser_of, put_out

_EXAMPLES = """examples:
  eval "$(sluice completion bash)"          # in ~/.bashrc
  eval "$(sluice completion zsh)"           # in ~/.zshrc
  sluice completion fish | source           # in ~/.config/fish/config.fish"""

_BASH = """_sluice() {{
  local words
  case "${{COMP_WORDS[1]}}" in
{cases}
    *) words="{commands}" ;;
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then words="{commands}"; fi
  COMPREPLY=($(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -o bashdefault -o default -F _sluice sluice"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = _EXAMPLES
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))


def run(options: argparse.Namespace) -> int:
    """Print the script; returns the exit status."""
    words = {name: list(dict.fromkeys(_words(parser_of(name)))) for name in COMMANDS}
    if options.shell == "fish":
        put_out("complete -c sluice -n __fish_use_subcommand -a " + repr(" ".join(COMMANDS)))
        for name, known in words.items():
            put_out(f"complete -c sluice -n '__fish_seen_subcommand_from {name}' -a '{' '.join(known)}'")
        return DONE
    cases = "\n".join(f'    {name}) words="{" ".join(known)}" ;;' for name, known in words.items())
    if options.shell == "zsh":
        put_out("autoload -U +X bashcompinit && bashcompinit")
    put_out(_BASH.format(cases=cases, commands=" ".join((*COMMANDS, "--help", "--version"))))
    return DONE


def _words(parser: argparse.ArgumentParser) -> Iterator[str]:
    """The long options of a command and of the commands that it has itself, and the names of those."""
    for action in parser._actions:
        yield from (option for option in action.option_strings if option.startswith("--"))
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield name
                yield from _words(inner)
