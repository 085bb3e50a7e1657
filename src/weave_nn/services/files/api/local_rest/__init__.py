"""The dialect of Obsidian's plugin Local REST API, so that clients written for it work against this server.

Both of its patch formats are understood: version 2 (5.x), and version 1 (4.x), which is also assumed where headers name
a target without saying the version, because every client of 4.x does that. What needs a screen answers 404 and says so.
"""

from weave_nn.services.files.api.local_rest.errors import DIALECT
from weave_nn.services.files.api.local_rest.notes import NoRelations, Relations
from weave_nn.services.files.api.local_rest.routes import router

__all__ = ["DIALECT", "NoRelations", "Relations", "router"]
