"""FlowJo 10 workspaces, read through FlowKit."""
