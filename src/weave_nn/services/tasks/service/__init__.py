"""The decisions of the task service."""

from weave_nn.services.tasks.service.rules import TaskRules
from weave_nn.services.tasks.service.statuses import DEFAULT_STATUSES, Status, Statuses
from weave_nn.services.tasks.service.synchronising import TaskSync
from weave_nn.services.tasks.service.tasks import TaskService

__all__ = ["DEFAULT_STATUSES", "Status", "Statuses", "TaskRules", "TaskService", "TaskSync"]
