"""The file service's decisions."""

from weave_nn.services.files.service.files import FileService, Limits
from weave_nn.services.files.service.housekeeping import Housekeeper
from weave_nn.services.files.service.line_edits import EditLedger
from weave_nn.services.files.service.observing import ObserverService
from weave_nn.services.files.service.recording import Recorder

__all__ = ["EditLedger", "FileService", "Housekeeper", "Limits", "ObserverService", "Recorder"]
