"""What `training.py` compares, a module a system."""
