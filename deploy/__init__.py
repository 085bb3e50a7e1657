"""Running Weave-NN as several processes."""
