"""Measure, and print tables: `python -m benchmarks [NAME ...] [--quick] [--write]`.

Every module of this folder that has a `NAME` and a `run(options) -> Iterable[Table]` is a benchmark. WEAVE_BENCH_VAULT
names a folder of notes to measure on as well; only a copy of it is touched, and its name stands in no table.
"""

import argparse
import importlib
import logging
import os
import pkgutil
import sys
import traceback
from pathlib import Path

import structlog

from benchmarks import machine
from benchmarks.report import Benchmark, Options, markdown

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results"


def main() -> int:
    """Run the chosen benchmarks; the exit code is 1 if one of them failed."""
    found = _found()
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(found)}; all of them if none is given")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it works")
    parser.add_argument("--write", action="store_true", help=f"keep the tables in {RESULTS.name}/NAME.md")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(found):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(found)}")
    folder = os.environ.get("WEAVE_BENCH_VAULT")
    options = Options(quick=arguments.quick, real_vault=Path(folder) if folder else None)
    return max((_run(found[name], options, write=arguments.write) for name in arguments.names or found), default=0)


def _found() -> dict[str, Benchmark]:
    found = {}
    for module_info in pkgutil.iter_modules([str(FOLDER)]):
        if module_info.name != "__main__":
            module = importlib.import_module(f"benchmarks.{module_info.name}")
            if hasattr(module, "NAME"):
                found[module.NAME] = Benchmark(module.NAME, module.run)
    return found


def _run(benchmark: Benchmark, options: Options, *, write: bool) -> int:
    print(f"==> {benchmark.name}", file=sys.stderr)
    # What the measured parts log is not what is asked for here.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    where = machine.description()
    parts = [f"## {benchmark.name}", f"Measured on {where}."]
    print(*parts, sep="\n\n")
    try:
        for table in benchmark.run(options):
            parts.append(markdown(table))
            print("", parts[-1], sep="\n", flush=True)
    except Exception:  # noqa: BLE001 - one benchmark that fails must not cost the figures of the others
        traceback.print_exc()
        return 1
    text = "\n\n".join(parts) + "\n"
    if write:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{benchmark.name}.md").write_text(text.replace("## ", "# ", 1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
