"""Reports as pages of HTML: one file each, without frameworks, that asks nothing of any network."""
