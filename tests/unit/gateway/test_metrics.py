from prometheus_client.parser import text_string_to_metric_families

from weave_nn.gateway.metrics import merged

ONE = """# HELP weave_requests_total Answered.
# TYPE weave_requests_total counter
weave_requests_total{route="/a \\"quoted\\"\\n"} 3.0
# TYPE took histogram
took_bucket{le="1"} 1
took_bucket{le="+Inf"} 2
took_sum 3
took_count 2
"""
OTHER = """# HELP weave_requests_total Answered.
# TYPE weave_requests_total counter
weave_requests_total{route="/a"} 4.0
"""


def test_all_parts_stand_on_one_page_and_say_which_they_are() -> None:
    families = {each.name: each for each in text_string_to_metric_families(merged({"edge": ONE, "monolith": OTHER}))}
    samples = families["weave_requests"].samples
    assert [(each.labels["part"], each.value) for each in samples] == [("edge", 3.0), ("monolith", 4.0)]
    assert samples[0].labels["route"] == '/a "quoted"\n'
    assert len(families["took"].samples) == 4


def test_a_part_that_says_nonsense_is_left_out() -> None:
    page = merged({"edge": "{not metrics", "monolith": OTHER, "gone": ""})
    assert 'part="monolith"' in page
    assert 'part="edge"' not in page
