"""The shadow comparer: asks both sides what a mirrored request asked, and looks for what differs."""
