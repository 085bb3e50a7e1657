"""The strangler fig: moves one service's traffic at a time from a stable to a candidate home, live and reversibly.

Envoy carries the traffic; what stands here decides. `rollout` has the states and what is allowed between them,
`service` keeps them in the database with their history, `envoy` renders them to configuration and has it served,
`guard` compares the candidate with the stable side and goes back by itself, `comparing` asks both sides the same.
"""
