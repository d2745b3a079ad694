"""Gives every file in a folder of hostile files to the reader it is for, under limits; prints one JSON line for each.

python -m tests.security FOLDER EXTRA_BYTES SECONDS: a file that takes more memory gets a MemoryError from Python, and
one that keeps the processor busy for longer ends this process, as a crash in C would.
"""

import contextlib
import json
import resource
import shutil
import sys
import time
from pathlib import Path

from common.data import meld
from common.data.cache import cached
from common.errors import InputError
from common.experiments.results import read_results
from common.release.checkpoint import load_released
from tests.small import random_corpus, same, small_network


def readers(folder, network):
    def features(path):
        shutil.copy(path, folder / "features" / meld.FILE)
        meld.read(folder / "features")

    def settings(path):
        shutil.copy(path, folder / "run" / "settings.yaml")
        read_results(folder / "run")

    def cache(path):
        shutil.copy(path, folder / "sources" / "corpus_cache.npz")
        corpus, origin = cached(meld.read, folder / "sources", meld.FILES)
        assert same(corpus, meld.read(folder / "sources"))
        raise InputError(origin)

    return {
        "features": features,
        "settings": settings,
        "cache": cache,
        "checkpoint": lambda path: load_released(network, path),
    }


def main(folder, extra, seconds):
    folder = Path(folder)
    network = small_network(random_corpus([2]))
    read = readers(folder, network)
    with contextlib.suppress(InputError):
        meld.read(folder / "sources")  # what is imported or allocated once
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + int(extra),) * 2)
    for path in sorted((folder / "files").iterdir()):
        print(json.dumps({"file": path.name}), flush=True)
        start, said = time.process_time(), None
        resource.setrlimit(resource.RLIMIT_CPU, (int(start) + int(seconds) + 1, resource.RLIM_INFINITY))
        try:
            read[path.name.partition("-")[2]](path)
        except InputError as error:
            said = str(error)
        except BaseException as error:
            said = f"{type(error).__name__}\n{error}"  # of two lines, which no InputError has
        print(json.dumps({"file": path.name, "said": said, "seconds": time.process_time() - start}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
