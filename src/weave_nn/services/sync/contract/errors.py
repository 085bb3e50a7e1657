"""What can be wrong with a question, beside a query (`query.QueryRefused`)."""

from weave_nn.shared.errors import InvalidInput


class ExpressionRefused(InvalidInput):
    """A JsonLogic or Dataview expression that cannot be evaluated here; the detail names the part that it is about."""

    code = "expression_refused"
    title = "Expression refused"


class SemanticSearchMissing(InvalidInput):
    """Semantic search was asked for, and is not installed or is switched off here; search without it works."""

    code = "semantic_search_missing"
    title = "No semantic search"

    def __init__(self) -> None:
        super().__init__(
            "There is no semantic search here.",
            hint="Search without it; or install weave-nn[semantic] where the server runs, with WEAVE_SEMANTIC=auto.",
            field="semantic",
        )
