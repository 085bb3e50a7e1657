"""What the file service drives in the outer world."""
