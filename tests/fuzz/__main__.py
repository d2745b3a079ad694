"""Coverage-guided fuzzing of the two readers of foreign files, with atheris:

    python -m tests.fuzz features|checkpoint [FOLDER] [-max_total_time=SECONDS] [other options of libFuzzer]

Starts from the committed corpus; FOLDER, if given, collects what reaches new code. Ends with a traceback, and the
input in a file crash-*, where an invariant of tests/fuzz/targets.py does not hold.

The standard library's unpickler is C, so that nothing tells the fuzzer which of its code an input reaches; what is
followed is what it calls here, the checks of what it made, and torch's unpickler. What that library bounds no more is
left out: memory is limited, and no mutation makes a nested tuple that takes for ever as a key.
"""

import contextlib
import pickletools
import random
import resource
import sys
import tempfile
from pathlib import Path

import atheris
from torch._weights_only_unpickler import Unpickler

with atheris.instrument_imports(include=["common.data", "common.release"]):
    from tests.fuzz.targets import TARGETS
    from tests.security.watch import Watch

CORPUS = Path(__file__).with_name("corpus")
MEMORY = 2**30  # bytes beside what is there before the first input
LIMITS = ("-timeout=10", "-rss_limit_mb=4096", "-max_len=40000")
OPCODES = [opcode.code.encode("latin1") for opcode in pickletools.opcodes]
PARTS = (  # what hostile pickles are made of
    b"cos\nsystem\n",
    b"cbuiltins\nbytearray\n",
    b"cbuiltins\nset\n",
    b"cnumpy\ndtype\n",
    b"cnumpy.core.multiarray\n_reconstruct\n",
    b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"ctorch.storage\n_load_from_bytes\n",
    b"\x8a\x08" + b"\xff" * 7 + b"\x7f",
    b"\x8d" + b"\xff" * 8,
    b"r\xff\xff\xff\x7f",
    b"G\x7f\xf8" + b"\0" * 6,
    b"(lp0\n" * 20,
    b"h\0h\1\x86R",
    b"Nb",
    b"U\x02i4",
    b"\x8c\x06latin1",
)


def mutate(data, max_size, seed):
    """Half of the time libFuzzer's own change; else one of whole opcodes: left out, doubled, moved, put in."""
    if seed % 2:
        return atheris.Mutate(data, max_size)
    choose = random.Random(seed)
    start = max(data.find(b"\x80"), 0)
    ends = [start]
    with contextlib.suppress(Exception):  # it is damaged already; what comes before is known
        for _, _, at in pickletools.genops(data[start:]):
            ends.append(start + at)
    for _ in range(choose.randint(1, 3)):
        at = choose.randrange(len(ends))
        a, b = ends[at], ends[min(at + choose.randint(1, 4), len(ends) - 1)]
        new = choose.choice(
            [b"", data[a:b] * 2, data[b : b + 40] + data[a:b], choose.choice(PARTS), choose.choice(OPCODES) + data[a:b]]
        )
        data = data[:a] + new + data[b:]
    return data[:max_size]


def main():
    name, *arguments = sys.argv[1:]
    Unpickler.load = atheris.instrument_func(Unpickler.load)
    watch = Watch()
    target = TARGETS[name](watch)
    for seed in target.seeds():
        target(seed)
    watch.armed = True
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, resource.RLIM_INFINITY))
    # libFuzzer writes into the first folder, which must not be the committed one
    folders = [a for a in arguments if not a.startswith("-")] or [tempfile.mkdtemp()]
    options = [a for a in arguments if a.startswith("-")]
    arguments = [sys.argv[0], *folders, str(CORPUS / name), *LIMITS, *options]
    atheris.Setup(arguments, lambda data: target(data), custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
