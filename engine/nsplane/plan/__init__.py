"""What comes next: from what is wanted and what is true to ordered operations."""
