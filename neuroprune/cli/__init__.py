"""The command line: one file a command; each parses, calls the library and prints.

Results go to standard output, everything said beside them to standard error. Nothing heavy is imported before a command
runs, so that `neuroprune --help` answers at once.
"""
