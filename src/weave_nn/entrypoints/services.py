"""The services of Weave-NN: the one place where each is registered.

Whatever composes, reaches or lists services goes by this list; see docs/howto/add-a-service.md.
"""

from weave_nn.entrypoints.components import files, git, sync, tasks
from weave_nn.entrypoints.composition import Service
from weave_nn.services.files.contract import FilesContract
from weave_nn.services.git.contract import GitContract, RestoreContract
from weave_nn.services.sync.contract import SyncContract
from weave_nn.services.tasks.contract import TasksContract

SERVICES = (
    Service(
        name="files",
        port=8001,
        prefix="/files",
        contracts=(FilesContract,),
        compose=files.files,
        register_tools=files.register_tools,
        apart=("watcher",),
    ),
    Service(
        name="sync",
        port=8004,
        prefix="/search",
        contracts=(SyncContract,),
        compose=sync.sync,
        register_tools=sync.register_tools,
    ),
    Service(
        name="tasks",
        port=8003,
        prefix="/tasks",
        contracts=(TasksContract,),
        compose=tasks.tasks,
        register_tools=tasks.register_tools,
    ),
    Service(
        name="git",
        port=8002,
        prefix="/git",
        contracts=(GitContract, RestoreContract),
        compose=git.git,
        register_tools=git.register_tools,
    ),
)
