"""What the figures were measured on, and what a process takes of it."""

import os
import platform
import sqlite3
from pathlib import Path


def description() -> str:
    """One line: processor, cores, memory, versions, and how busy the machine is."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    memory_gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    software = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {platform.system()}"
    return f"{_processor()}, {os.cpu_count()} cores, {memory_gigabytes:.0f} GB; {software}; load {load}"


def resident_megabytes(pid: int) -> float | None:
    """What a process has in memory now; None where the system does not say so in `/proc`."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return None
    fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) * 1024 / 1e6


def processor_seconds(pid: int) -> float | None:
    """What a process and those that it has waited for have used of the processor so far; None without `/proc`."""
    status = Path(f"/proc/{pid}/stat")
    if not status.exists():
        return None
    times = status.read_text().rpartition(")")[2].split()[11:15]
    return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")


def _processor() -> str:
    described = Path("/proc/cpuinfo")
    if described.exists():
        for line in described.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
