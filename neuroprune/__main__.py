"""`python -m neuroprune` is the command `neuroprune`."""

from neuroprune.cli.main import main

main()
