"""Digital phantoms: simulated images with known truth. They test code and ideas, not medical claims."""
