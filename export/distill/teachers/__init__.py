"""Teachers: models whose frames and answers a student learns from."""
