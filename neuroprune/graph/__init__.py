"""The float program of a network: its types, and how it is traced from a module and folded."""
