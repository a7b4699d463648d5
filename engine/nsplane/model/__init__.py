"""What can be asked for: items, references to namespaces, requests; what of them is wrong, and what is meant."""
