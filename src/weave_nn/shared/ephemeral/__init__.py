"""What is shared between processes and may be lost: leases, rate-limit counters, where MCP sessions live.

Each has a port, an implementation on Redis (or Valkey), and a stand-in that behaves alike for one host or one process
and needs no server. When Redis is away, what is disposable goes on without it (`Outage` says so once in the log and
counts it), and leases are given up: nobody works twice.
"""
