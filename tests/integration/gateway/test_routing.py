"""Which side a request comes to, through a real Envoy."""

import socket

from integration.gateway.stand import Stand, wait_until
from weave_nn.gateway.buckets import on_candidate
from weave_nn.gateway.rollouts import label

USERS = [f"u{number}" for number in range(60)]


def sides(stand: Stand, path: str = "/tasks/1") -> dict[str, str]:
    return {user: stand.ask(path, user).body for user in USERS}


def test_every_user_is_where_the_bucket_says_whatever_they_claim(stand: Stand) -> None:
    stand.plan()
    assert set(sides(stand).values()) == {"stable"}
    stand.to(50)
    rollout = stand.rollouts.find("tasks")
    wanted = {user: "candidate" if on_candidate(rollout, label(user)) else "stable" for user in USERS}
    assert set(wanted.values()) == {"candidate", "stable"}
    assert sides(stand) == wanted
    other = {
        user: stand.ask("/tasks/1", f"{user}#phone", x_weave_user="user:u0", x_weave_pin="r1").body for user in USERS
    }
    assert other == wanted
    for user in USERS[:5]:
        (where,) = stand.rollouts.where(user)
        assert where.side == wanted[user]
    writes = {user: stand.ask("/tasks", user, "POST").body for user in USERS}
    assert writes == wanted
    # What a user says with a credential is asked once, not with every request.
    known = len(stand.control_service.paths())
    sides(stand)
    assert len(stand.control_service.paths()) == known


def test_raising_moves_users_one_way_and_lowering_the_other(stand: Stand) -> None:
    stand.plan()
    before: set[str] = set()
    for percent in (10, 25, 50, 100):
        stand.to(percent)
        now = {user for user, side in sides(stand).items() if side == "candidate"}
        assert before <= now
        before = now
    stand.to(10)
    assert {user for user, side in sides(stand).items() if side == "candidate"} <= before


def test_other_services_and_probes_stay_with_the_monolith(stand: Stand) -> None:
    stand.plan()
    stand.to(100)
    for path in ("/files/a.md", "/health", "/tasksandmore", "/"):
        assert stand.ask(path, "u1").body == "stable"


def test_the_anonymous_are_given_a_cookie_and_stay_on_their_side(stand: Stand) -> None:
    stand.plan()
    stand.to(50)
    seen = set()
    for _ in range(12):
        first = stand.ask("/tasks/1")
        cookie = first.headers["set-cookie"].partition(";")[0]
        seen.add(first.body)
        again = [stand.ask("/tasks/1", Cookie=f"other=1; {cookie}") for _ in range(3)]
        assert {each.body for each in again} == {first.body}
        assert all("set-cookie" not in each.headers for each in again)
    assert seen == {"candidate", "stable"}
    assert "set-cookie" not in stand.ask("/tasks/1", "u1").headers


def test_a_session_stays_in_the_process_that_began_it(stand: Stand) -> None:
    stand.plan("sync")
    stand.to(50, "sync")
    began = {user: stand.ask("/mcp", user, "POST") for user in USERS[:12]}
    assert {each.body for each in began.values()} == {"candidate", "stable"}

    def again(percent: int) -> dict[str, str]:
        stand.to(percent, "sync")
        found = {}
        for user, first in began.items():
            answer = stand.ask("/mcp", user, "POST", Mcp_Session_Id=first.headers["mcp-session-id"])
            assert answer.headers["mcp-session-id"] == first.headers["mcp-session-id"]
            found[user] = answer.body
        return found

    sides = {user: each.body for user, each in began.items()}
    # Whoever makes up an id moves nowhere by it.
    for made_up in ("r1.made-up", "r0123456789abcdef.made-up"):
        users = [user for user, side in sides.items() if side == "stable"]
        assert {stand.ask("/mcp", user, "POST", Mcp_Session_Id=made_up).body for user in users} == {"stable"}
    assert again(100) == sides
    assert again(10) == sides
    # The services see the ids that they gave.
    assert stand.candidate.asked[-1].headers["mcp-session-id"] == "of-candidate"
    stand.rollouts.roll_back("sync", who="ann", why="")
    stand.await_served()
    user = next(user for user, side in sides.items() if side == "candidate")
    assert stand.ask("/mcp", user, "POST", Mcp_Session_Id=began[user].headers["mcp-session-id"]).body == "stable"


def test_streams_pass_unbuffered(stand: Stand) -> None:
    stand.plan()
    stand.to(100)
    with socket.create_connection(("127.0.0.1", stand.place.port), timeout=60) as connection:
        connection.sendall(b"GET /tasks/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer u1\r\n\r\n")
        received = b""
        while b"data: first" not in received:
            received += connection.recv(4096)
        assert b"data: last" not in received
        stand.candidate.goes_on.set()
        stand.stable.goes_on.set()
        while b"data: last" not in received:
            received += connection.recv(4096)


def test_reads_are_mirrored_and_writes_never_and_nobody_waits_for_the_comparer(stand: Stand) -> None:
    stand.plan()
    stand.rollouts.shadow("tasks", 100, who="ann")
    stand.await_served()
    stand.comparer.delay_seconds = 3600
    for user in USERS[:10]:
        assert stand.ask(f"/tasks/{user}", user).body == "stable"
        assert stand.ask("/tasks", user, "POST").status == 200
    wait_until(lambda: len(stand.comparer.paths()) == 10)
    assert {each.method for each in stand.comparer.asked} == {"GET"}
    assert stand.comparer.asked[0].headers["authorization"].startswith("Bearer u")
    stand.close(stand.comparer)
    assert {stand.ask("/tasks/1", user).status for user in USERS} == {200}
