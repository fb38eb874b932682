"""What a network becomes on a chip and what that takes, before anything is trained, coded or run."""
