"""The services of Weave-NN: the one place where each is registered.

Whatever composes, reaches or lists services goes by this list; see docs/howto/add-a-service.md.
"""

from weave_nn.entrypoints.components import files, git, sync, tasks
from weave_nn.entrypoints.composition import Part, Service
from weave_nn.services.files.contract import FilesContract
from weave_nn.services.git.contract import GitContract, RestoreContract
from weave_nn.services.sync.contract import SyncContract
from weave_nn.services.tasks.contract import TasksContract

SERVICES = (
    Service(
        part=Part("files", 8001, "the notes: reading, writing, moving; Obsidian's Local REST API"),
        prefix="/files",
        contracts=(FilesContract,),
        compose=files.files,
        register_tools=files.register_tools,
        apart=(Part("watcher", 8011, "notices what others change in the vault"),),
    ),
    Service(
        part=Part("sync", 8004, "the index: search, links, the graph"),
        prefix="/search",
        contracts=(SyncContract,),
        compose=sync.sync,
        register_tools=sync.register_tools,
    ),
    Service(
        part=Part("tasks", 8003, "the tasks that stand in the notes"),
        prefix="/tasks",
        contracts=(TasksContract,),
        compose=tasks.tasks,
        register_tools=tasks.register_tools,
    ),
    Service(
        part=Part("git", 8002, "the history: commits by itself, versions, exchange with a remote"),
        prefix="/git",
        contracts=(GitContract, RestoreContract),
        compose=git.git,
        register_tools=git.register_tools,
    ),
)
