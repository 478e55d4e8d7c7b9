# A module is added to an environment that is in use, and taken out again.
site dev: spar
apply
mark
site dev: spar, example-bank
plan
apply
# What the module needs came with it. Taking it out of the file removes what it brought, and nothing else.
site dev: spar
plan
apply
changes
plan
