"""Notes what code in a file would do, by Python's audit events."""

import codecs
import sys
from contextlib import contextmanager

FORBIDDEN = ("import", "exec", "compile", "os.", "subprocess.", "shutil.", "socket.", "ctypes.", "marshal.", "pickle.")
HARMLESS = ("os.listdir", "os.scandir")


class Watch:
    """Watches while a file is read. Armed after good files had everything imported."""

    def __init__(self):
        self.armed, self.on, self.events = False, False, []
        for codec in (
            "cp437",
            "raw_unicode_escape",
            "utf-8-sig",
            "latin1",
        ):  # that some files need, and good ones may lack
            codecs.lookup(codec)
        sys.addaudithook(self._hook)

    def _hook(self, event, arguments):
        if not (self.armed and self.on) or event in HARMLESS:
            return
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & 3
        if writes or event.startswith(FORBIDDEN):
            self.events.append((event, repr(arguments)[:200]))

    @contextmanager
    def watching(self):
        """Raises AssertionError where something imports, executes, starts or writes within the block."""
        self.on = True
        try:
            yield
        finally:
            self.on = False
            events, self.events = self.events, []
            assert not events, events
