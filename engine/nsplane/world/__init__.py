"""What is true: namespaces and where references lead, processes, microservices, facts; and what tells of it: timers, the poller."""
