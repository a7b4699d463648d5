"""The pages of `nsplane web`: a process of its own that follows one agent as any client of the bus does, and changes nothing."""
