import subprocess
import sys

HEAVY = ("alembic", "fastapi", "mcp", "pydantic", "rich", "sqlalchemy", "uvicorn")


def test_help_and_completion_load_nothing_heavy() -> None:
    program = f"import sys, weave_nn.entrypoints.cli; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
