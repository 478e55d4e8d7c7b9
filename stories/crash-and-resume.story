# The engine is killed while kubeadm makes the cluster: credentials are there, an API is not.
site dev: spar
kill during host.run kubeadm init
apply
# The next run sees a cluster that was never used, clears it away and makes it whole.
apply
plan
# The engine is killed between making a Secret and noting that it did.
site dev: spar; prod: spar
kill after cluster.apply Secret prod/spar-database
apply
show Secret prod/spar-database /data/username
apply
plan
# The disk holding the ledger fails in the middle of a write: the generation before it counts.
site dev: spar
tear state.replace ledger
apply
apply
plan
