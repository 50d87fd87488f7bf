"""Dead letters: look at them, keep them, send them again, or throw them away."""
