"""FlowCytometryTools: its measurements, plates and gates from and to ours."""
