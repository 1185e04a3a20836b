"""Engines compute tasks, on this machine or a cluster, and yield an event whenever something happens to one."""

from pgcourse.lab.engines.events import Advanced, Done, Event, Failed, Report, Task
from pgcourse.lab.engines.local import local

__all__ = ["Advanced", "Done", "Event", "Failed", "Report", "Task", "local"]
