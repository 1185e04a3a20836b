"""Where tasks are computed. An engine yields what happens to its tasks as it happens."""

from pgcourse.lab.engines.events import Advanced, Done, Event, Failed, Report, Task
from pgcourse.lab.engines.local import local

__all__ = ["Advanced", "Done", "Event", "Failed", "Report", "Task", "local"]
