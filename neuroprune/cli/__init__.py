"""The command line: one file per command; each parses, calls the library and prints.

Results go to standard output, notes and progress to standard error. Nothing heavy is imported before a command
runs, so that `neuroprune --help` answers at once.
"""
