# A host that was used for other things before.
somebody installs socat
somebody puts /etc/cni/net.d/99-mine.conflist {}
somebody sets net.ipv4.ip_forward 1
mark
site dev: spar; prod: g2p-bridge
apply
# The whole site goes. What was there before is there still; kernel modules stay loaded, others may use them by now.
kill after host.run kubeadm reset
destroy
destroy
changes
show ledger
