"""A process that commits what changed in a vault, and is killed by a hook of the repository while it does."""

import os
import sys
from pathlib import Path

from integration.git.stand import make_stand, user_environment


def main() -> None:
    tmp_path = Path(sys.argv[1])
    (tmp_path / "victim.pid").write_text(str(os.getpid()))
    stand = make_stand(tmp_path, tmp_path / "vault", user_environment(tmp_path / "home"))
    stand.carry()
    stand.committer.commit_pending()


if __name__ == "__main__":
    main()
