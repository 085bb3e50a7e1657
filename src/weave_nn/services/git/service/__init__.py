"""What the git service decides."""
