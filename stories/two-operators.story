# Two operators apply at the same time. The second one is told who is at work, and nothing of theirs happens.
site dev: spar
meanwhile host.run kubeadm init apply
apply
plan
# A plan that was made before the other one's run is refused: the world has moved since.
site dev: spar; prod: spar
save
site dev: spar; qa: spar
apply
site dev: spar; prod: spar
apply saved
# A lock never outlives its run: it is the kernel's, and goes when the process goes.
kill before cluster.apply Namespace prod
apply
apply
plan
