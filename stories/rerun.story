# A site that stands is left alone: the second run has nothing to do and writes nothing, not even into the ledger.
site dev: spar
apply
mark
plan
apply
changes
