"""Driving the git command line."""
