"""What can be wrong with a question, beside a query (`query.QueryRefused`)."""

from weave_nn.shared.errors import InvalidInput


class ExpressionRefused(InvalidInput):
    """A JsonLogic or Dataview expression that cannot be evaluated here; the detail names the part that it is about."""

    code = "expression_refused"
    title = "Expression refused"
