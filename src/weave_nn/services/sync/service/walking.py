"""Ways through the graph: the neighbourhood of a note, the shortest path between two."""

from weave_nn.services.sync.contract.results import Graph, GraphEdge, GraphNode
from weave_nn.services.sync.repository.graph import GraphReader
from weave_nn.services.sync.service.paging import checked_limit
from weave_nn.shared.errors import InvalidInput

DEPTH_LIMIT = 5
NODE_LIMIT = 1000


def neighbourhood(graph: GraphReader, path: str, *, depth: int, limit: int) -> Graph:
    """See `SyncContract.find_neighbours`."""
    checked_limit(limit, NODE_LIMIT)
    if not 1 <= depth <= DEPTH_LIMIT:
        raise InvalidInput(f"The depth {depth} is not from 1 to {DEPTH_LIMIT}.", field="depth")
    depths = {graph.id_of(path): 0}
    frontier = set(depths)
    truncated = False
    for level in range(1, depth + 1):
        ends = {end for edge in graph.edges_at(frontier) for end in edge}
        # The order decides what is left out beyond the limit, and must not change from call to call.
        frontier = set(sorted(ends - depths.keys())[: limit - len(depths)])
        truncated = truncated or len(ends - depths.keys()) > len(frontier)
        depths.update(dict.fromkeys(frontier, level))
        if not frontier:
            break
    stored = graph.nodes(depths)
    nodes = [GraphNode(node.path, node.title, depths[node.id]) for node in stored.values()]
    edges = [
        GraphEdge(stored[source].path, stored[target].path, links)
        for (source, target), links in graph.weights(depths).items()
        if target in depths
    ]
    return Graph(
        tuple(sorted(nodes, key=lambda node: (node.depth, node.path))),
        tuple(sorted(edges, key=lambda edge: (edge.source, edge.target))),
        truncated,
    )


def shortest_path(graph: GraphReader, source: str, target: str) -> tuple[str, ...]:
    """See `SyncContract.find_path`: a breadth-first search from both ends, always on from the smaller frontier."""
    start, end = graph.id_of(source), graph.id_of(target)
    # For each file that was reached, the one before it on the way from its side.
    reached: tuple[dict[int, int | None], dict[int, int | None]] = ({start: None}, {end: None})
    frontiers = [{start}, {end}]
    meeting = {start} & {end}
    while not meeting and all(frontiers):
        side = 0 if len(frontiers[0]) <= len(frontiers[1]) else 1
        here = reached[side]
        found: dict[int, int] = {}
        for one, other in sorted(graph.edges_at(frontiers[side])):
            for near, far in ((one, other), (other, one)):
                if near in frontiers[side] and far not in here:
                    found.setdefault(far, near)
        here.update(found)
        frontiers[side] = set(found)
        meeting = found.keys() & reached[1 - side].keys()
    if not meeting:
        return ()
    middle = min(meeting)
    ids = [*reversed(_way_back(reached[0], middle)), *_way_back(reached[1], middle)[1:]]
    nodes = graph.nodes(ids)
    return tuple(nodes[each].path for each in ids)


def _way_back(reached: dict[int, int | None], last: int) -> list[int]:
    way = [last]
    while (before := reached[way[-1]]) is not None:
        way.append(before)
    return way
