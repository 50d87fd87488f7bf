"""The stack's CloudWatch dashboard, drawn on this machine from its own definition and from what a run has recorded."""
