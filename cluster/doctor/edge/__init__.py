"""Where facts come from. Nothing here judges."""
