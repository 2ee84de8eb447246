"""FlowKit: its samples and strategies from and to ours."""
