"""What a request does, would do, and has done."""
