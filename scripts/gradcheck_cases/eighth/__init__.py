"""Networks of research code: what engineers write at work."""
