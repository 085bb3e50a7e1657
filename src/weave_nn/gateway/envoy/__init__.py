"""The data plane: Envoy's configuration as a pure function of the state, its files, its process and its statistics."""
