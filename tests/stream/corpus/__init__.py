"""Bad and odd records by hazard (P1–P11 of hazards.md), each with its name and the reasons it must be refused for."""
