"""`python -m common` lists the commands; `python -m common COMMAND --help` explains one."""

import importlib
import sys
from collections.abc import Sequence

from common.commands.parser import OneLineParser, run_command
from common.errors import meant

COMMANDS = {
    "obtain": "download the authors' feature files and checkpoints",
    "verify": "say what feature files hold, beside what was published",
    "build": "make a dataset of your own conversations",
    "features": "make a dataset of raw conversations: text, sound, video",
    "synthetic": "write synthetic conversations as feature files",
    "predict": "say the emotions of a conversation of your own",
    "experiments": "train and report the paper's tables; compare results",
    "case-study": "draw one utterance, its causes and its gates",
    "benchmark": "measure speed and memory",
    "environment": "print this machine and the versions of packages",
}


def main(words: Sequence[str] | None = None) -> None:
    """Run the command that `words` name, by default the command line; without one, list the commands."""
    name, *words = (sys.argv[1:] if words is None else words) or ["--help"]
    if name in ("-h", "--help"):
        print("usage: python -m common COMMAND [--help]\n")
        print("\n".join(f"  {command:<13}{what}" for command, what in COMMANDS.items()))
        return
    if name not in COMMANDS:
        found = f"no command {name!r}; expected one of {', '.join(COMMANDS)}{meant(name, COMMANDS)}"
        print(f"python -m common: error: {found}", file=sys.stderr)
        sys.exit(2)
    command = importlib.import_module(f"common.commands.{name.replace('-', '_')}")
    description, _, epilog = (command.__doc__ or "").partition("\n")
    parser = OneLineParser(prog=f"python -m common {name}", description=description, epilog=epilog, allow_abbrev=False)
    command.add_arguments(parser)
    run_command(parser, command.run, name, words)


if __name__ == "__main__":
    main()
