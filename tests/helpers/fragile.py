"""A store that crashes at a chosen append, for tests of resuming after a crash."""

from metaopt.storage import StudyHeader
from metaopt.storage.events import event_from_text, event_to_text


class Crash(BaseException):
    """The process ends here; metaopt must not catch it."""


class FragileStore:
    """A store that crashes at the k-th append; only durable events are there afterwards.

    With `eager`, every event is written at once, so a crash may leave any prefix of the events.
    Otherwise events are buffered until the next durable one, as in a file.
    """

    def __init__(self, eager=False):
        self.eager, self.rows, self.header = eager, [], None
        self.crash_at, self.crash_after, self.appended = None, False, 0

    def boot(self, crash_at=None, crash_after=False):
        self.crash_at, self.crash_after, self.appended = crash_at, crash_after, 0
        self.waiting = []
        return self

    # the methods of SqlStore that a Study uses
    def find(self, name):
        return self.header

    def create(self, name, header):
        self.header = StudyHeader(name, 0.0, header)

    def open(self, name):
        return self

    # the methods of StudyEvents that a Study uses
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
