"""Live audio → one result for each window, as soon as the window is complete."""
