"""A store that dies on cue, for the tests of what a crash leaves behind."""

from metaopt.storage import StudyHeader
from metaopt.storage.events import event_from_text, event_to_text


class Crash(BaseException):
    """The process ends here; nothing may catch it."""


class FragileStore:
    """A store whose process dies at the k-th append; only what was durable is there afterwards.

    `eager` is a log that happens to write everything at once, so that every prefix of the events
    is what a crash may leave behind; else events wait for the next durable one, as in a file.
    """

    def __init__(self, eager=False):
        self.eager, self.rows, self.header = eager, [], None
        self.crash_at, self.crash_after, self.appended = None, False, 0

    def boot(self, crash_at=None, crash_after=False):
        self.crash_at, self.crash_after, self.appended = crash_at, crash_after, 0
        self.waiting = []
        return self

    # what a Study uses of a SqlStore
    def find(self, name):
        return self.header

    def create(self, name, header):
        self.header = StudyHeader(name, 0.0, header)

    def open(self, name):
        return self

    # what it uses of a StudyEvents
    def __iter__(self):
        return iter([event_from_text(*row) for row in self.rows])

    def append(self, *events, durable=True):
        dies = self.appended == self.crash_at
        self.appended += 1
        if dies and not self.crash_after:
            raise Crash
        self.waiting += [(e.kind, e.time, event_to_text(e)) for e in events]
        if durable or self.eager:
            self.rows += self.waiting
            self.waiting = []
        if dies:
            raise Crash

    def close(self):
        pass
