"""Live audio → windows as they ripen."""
