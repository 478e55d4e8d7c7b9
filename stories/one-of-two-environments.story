# Two environments; one is removed. The other one keeps everything it has.
site dev: spar; prod: spar
apply
show ledger
mark
destroy dev
changes
show ledger
# Killed in the middle of a removal, the next one goes on from there.
kill before cluster.delete Deployment prod/spar-mapper
destroy prod
destroy prod
show ledger
