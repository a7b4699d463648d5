"""Links of one kind by the thousand, in one namespace: made, and deleted."""
