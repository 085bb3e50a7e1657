"""The HTTP edge: `create_app` makes the application of a process, `listen` and `serve` run it.

Routers of services need from here only `IfMatch`, `IfNoneMatch`, `not_modified`, `file_response` and `SpooledBody`;
failures they raise as `WeaveError`.
"""

from weave_nn.shared.http.app import Limits, Security, create_app
from weave_nn.shared.http.authentication import AnyOf, Authenticator, StaticKey, requires
from weave_nn.shared.http.bodies import SpooledBody
from weave_nn.shared.http.conditional import ETag, ETagCondition, IfMatch, IfNoneMatch, not_modified
from weave_nn.shared.http.problems import Dialect, Problem, json_body
from weave_nn.shared.http.ranges import ByteRange, RangeNotSatisfiable, file_response, parse_range
from weave_nn.shared.http.readiness import ReadinessCheck
from weave_nn.shared.http.server import CannotListen, Listener, listen, serve
from weave_nn.shared.identity import Identity, Scope, current_identity, require_scope

__all__ = [
    "AnyOf",
    "Authenticator",
    "ByteRange",
    "CannotListen",
    "Dialect",
    "ETag",
    "ETagCondition",
    "Identity",
    "IfMatch",
    "IfNoneMatch",
    "Limits",
    "Listener",
    "Problem",
    "RangeNotSatisfiable",
    "ReadinessCheck",
    "Scope",
    "Security",
    "SpooledBody",
    "StaticKey",
    "create_app",
    "current_identity",
    "file_response",
    "json_body",
    "listen",
    "not_modified",
    "parse_range",
    "require_scope",
    "requires",
    "serve",
]
