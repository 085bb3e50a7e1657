"""Contracts: how one service asks another a question.

A service's `contract.py` declares a Protocol whose methods are marked `@query` (reads only, safe to repeat) or
`@command` (changes something, one transaction). Whoever holds a contract (a route, a tool, another service) calls
plain methods and cannot tell where the service runs:

* `local` makes the implementation in this process: each call opens its own unit of work around a new service.
* `remote.remote` makes the one that reaches another process, `serving.contract_router` what answers it there. Both are
  derived from the Protocol's signatures alone (`wire`), so that there is no second description to keep alike.

What can go over the wire: JSON values, bytes, dates and times, enumerations, tuples and mappings of those, dataclasses
and named tuples. Of a dataclass that arrives, unknown fields are ignored and missing ones take their defaults, so that
services of neighbouring versions understand each other; a named tuple never changes. A method may have one parameter
of `bytes` or an iterable of them, and a result one such field: that travels as it is, behind the rest.
"""

from weave_nn.shared.contracts.local import local
from weave_nn.shared.contracts.marks import Kind, command, database_only, methods, query

__all__ = ["Kind", "command", "database_only", "local", "methods", "query"]
