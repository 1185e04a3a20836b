"""Where tasks are computed. An engine yields what happens to its tasks as it happens."""

from pgcourse.lab.engines.events import Done, Event, Failed, Progress, Report, Task
from pgcourse.lab.engines.local import local

__all__ = ["Done", "Event", "Failed", "Progress", "Report", "Task", "local"]
