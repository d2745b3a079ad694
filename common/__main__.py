"""`python -m common` lists the commands; `python -m common COMMAND --help` explains one."""

import importlib
import sys

COMMANDS = {  # name to module, and what it does
    "obtain": ("common.release.obtain", "download the authors' feature files and checkpoints"),
    "verify": ("common.release.verify", "say what feature files hold, beside what was published"),
    "build": ("common.commands.build", "make a dataset of your own conversations"),
    "synthetic": ("common.data.synthetic", "write synthetic conversations as feature files"),
    "experiments": ("common.commands.experiments", "train and report the paper's tables; compare results"),
    "case-study": ("common.commands.case_study", "draw one utterance, its causes and its gates"),
    "benchmark": ("benchmarks.__main__", "measure speed and memory"),
    "environment": ("common.environment", "print this machine and the versions of packages"),
}


def main() -> None:
    """Run the command that the command line names; without one, list them."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in ("-h", "--help"):
        print("usage: python -m common COMMAND [--help]\n")
        print("\n".join(f"  {command:<13}{what}" for command, (_, what) in COMMANDS.items()))
        return
    if name not in COMMANDS:
        sys.exit(f"python -m common: no command {name!r}; expected one of {', '.join(COMMANDS)}")
    from common.errors import run_script

    del sys.argv[1]
    run_script(importlib.import_module(COMMANDS[name][0]).main, name)


if __name__ == "__main__":
    main()
