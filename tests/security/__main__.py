"""Gives every file in a folder of hostile files to the reader it is for, under limits; prints one JSON line for each.

python -m tests.security FOLDER EXTRA_BYTES SECONDS: a file that takes more memory gets a MemoryError from Python, and
one that keeps the processor busy for longer ends this process, as a crash in C would. Files with "unbounded" in their
name are read in a process of their own, which they may end.
"""

import contextlib
import json
import os
import resource
import shutil
import signal
import sys
import time
from pathlib import Path

import torch

from common.data import meld
from common.data.cache import cached
from common.errors import InputError
from common.experiments.results import read_results
from common.release.checkpoint import load_released, save_released
from tests.security.watch import Watch
from tests.small import random_corpus, same, small_network

LONGEST = 0.2  # seconds of the processor for a file that may have no end


def readers(folder, network, watch):
    def features(path):
        shutil.copy(path, folder / "features" / meld.FILE)
        with watch.watching():
            meld.read(folder / "features")

    def checkpoint(path):
        with watch.watching():
            load_released(network, path)

    def settings(path):
        shutil.copy(path, folder / "run" / "settings.yaml")
        read_results(folder / "run")

    def cache(path):
        shutil.copy(path, folder / "sources" / "corpus_cache.npz")
        corpus, origin = cached(meld.read, folder / "sources", meld.FILES)
        assert same(corpus, meld.read(folder / "sources"))
        raise InputError(origin)

    return {"features": features, "settings": settings, "cache": cache, "checkpoint": checkpoint}


def main(folder, extra, seconds):
    torch.set_num_threads(1)  # a forked process has no other
    folder, watch, network = Path(folder), Watch(), small_network(random_corpus([2]))
    read = readers(folder, network, watch)
    read_good(folder, network, read)
    watch.armed = True
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + int(extra),) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for path in sorted((folder / "files").iterdir()):
        print(json.dumps({"file": path.name}), flush=True)
        start = time.process_time()
        resource.setrlimit(resource.RLIMIT_CPU, (int(start) + int(seconds) + 1, resource.RLIM_INFINITY))
        _, kind, *unbounded = path.name.split("-")
        said = apart(read[kind], path) if unbounded else answer(read[kind], path)
        print(json.dumps({"file": path.name, "said": said, "seconds": time.process_time() - start}), flush=True)


def read_good(folder, network, read):
    """What is imported or allocated once."""
    shutil.copytree(folder / "sources", folder / "good")
    read["features"](folder / "good" / meld.FILE)
    save_released(network, folder / "good.pkl")
    read["checkpoint"](folder / "good.pkl")
    with contextlib.suppress(InputError):
        read["checkpoint"](folder / "good" / meld.FILE)


def answer(read, path):
    """What the reader says in its InputError; None where it takes the file; two lines, which none has, for the rest."""
    try:
        read(path)
    except InputError as error:
        return str(error)
    except BaseException as error:
        return f"{type(error).__name__}\n{error}"
    return None


def apart(read, path):
    """The same from a process of its own; the name of the signal that ended it, if one did."""
    receive, send = os.pipe()
    process = os.fork()
    if not process:
        signal.setitimer(signal.ITIMER_PROF, LONGEST)
        os.write(send, json.dumps(answer(read, path)).encode())
        os._exit(0)
    os.close(send)
    with open(receive, "rb") as file:
        said = file.read()
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return signal.Signals(-status).name if status < 0 else json.loads(said)


if __name__ == "__main__":
    main(*sys.argv[1:])
