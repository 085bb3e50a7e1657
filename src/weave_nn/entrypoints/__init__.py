"""The composition roots: the only readers of settings. Each builds a process out of services and runs it."""
